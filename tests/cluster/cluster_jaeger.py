"""Starts Jaeger beside the cluster, for tests of traces: pods send spans to the node's address, tests ask there.

Called by the command when a test asks for it; it ends with the cluster. It keeps the last traces in memory, and none of
its own.
"""

import http.client

from cluster.cluster_build import binary, build
from cluster.cluster_process import runs, start, wait_until

PROCESS = "jaeger"
OTLP_GRPC_PORT, OTLP_HTTP_PORT, QUERY_PORT = 4317, 4318, 16686
_TRACES = 100
_ANSWER_S = 2
# What else it listens on, which nobody needs here.
_OTHERS = (
    "admin.http",
    "collector.grpc-server",
    "collector.http-server",
    "http-server",
    "query.grpc-server",
)
_AGENTS = ("jaeger-binary", "jaeger-compact", "zipkin-compact")


def start_jaeger(node_ip: str) -> None:
    """Start it, unless it runs, and wait until it answers: compile it where that is missing, about 3 min."""
    build((PROCESS,))
    if not runs(PROCESS):
        start(PROCESS, "env", "SPAN_STORAGE_TYPE=memory", "OTEL_TRACES_SAMPLER=always_off", *_command(node_ip))
    wait_until("Jaeger", lambda: _answers(node_ip), name=PROCESS)


def _command(node_ip: str) -> tuple[str, ...]:
    open_ports = {
        "collector.otlp.grpc": OTLP_GRPC_PORT,
        "collector.otlp.http": OTLP_HTTP_PORT,
        "query.http-server": QUERY_PORT,
    }
    return (
        str(binary(PROCESS)),
        f"--memory.max-traces={_TRACES}",
        *(f"--{name}.host-port={node_ip}:{port}" for name, port in open_ports.items()),
        *(f"--{name}.host-port=127.0.0.1:0" for name in _OTHERS),
        *(f"--processor.{name}.server-host-port=127.0.0.1:0" for name in _AGENTS),
    )


def _answers(node_ip: str) -> bool:
    connection = http.client.HTTPConnection(node_ip, QUERY_PORT, timeout=_ANSWER_S)
    try:
        connection.request("GET", "/api/services")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
