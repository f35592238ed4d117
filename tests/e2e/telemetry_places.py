"""Where operator and pods send their telemetry in tests: spans to Jaeger, metrics to this machine.

Called when the operator is deployed. Metrics go to a port at which only some tests listen: for all others the collector
is away, which must not matter to anybody.
"""

from cluster.cluster_client import Cluster
from cluster.cluster_jaeger import OTLP_HTTP_PORT

METRICS_PORT = 14318
METRICS_INTERVAL_S = 2.0
_SPANS_WAIT_S = 0.5


def environment(cluster: Cluster) -> dict[str, str]:
    """The variables of the operator, which hands them on to its pods."""
    host = cluster.jaeger_host()
    spans = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"http://{host}:{OTLP_HTTP_PORT}/v1/traces"} if host else {}
    return {
        **spans,
        "OTEL_BSP_SCHEDULE_DELAY": str(round(_SPANS_WAIT_S * 1000)),
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"http://{cluster.node_ip}:{METRICS_PORT}/v1/metrics",
        "OTEL_METRIC_EXPORT_INTERVAL": str(round(METRICS_INTERVAL_S * 1000)),
    }
