"""Makes exporters from settings, which are all passed in: nothing is left to the environment."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData

from llmbatch_telemetry import settings
from llmbatch_telemetry.exporting.http_spans import HttpSpanExporter
from llmbatch_telemetry.exporting.rejections import REJECTIONS
from llmbatch_telemetry.settings import Signal

_ANSWER_BYTES = 64 * 1024
_REDIRECTION = 300


class SpanExporter(Protocol):
    """Sends spans that are encoded."""

    def export(self, request: ExportTraceServiceRequest) -> bool:
        """Whether it was taken, with retries within the timeout."""

    def shutdown(self) -> None:
        """Give up what is being sent."""


class MetricExporter(Protocol):
    """What is used of OpenTelemetry's."""

    def export(self, metrics_data: MetricsData) -> MetricExportResult:
        """Send metrics, with retries within the timeout."""

    def shutdown(self) -> None:
        """Give up what is being sent."""


def span_exporter(signal: Signal) -> SpanExporter:
    """The exporter for spans."""
    if signal.protocol is settings.Protocol.GRPC:
        _quiet_grpc()
        from llmbatch_telemetry.exporting.grpc_spans import GrpcSpanExporter

        return GrpcSpanExporter(**_grpc_arguments(signal))
    return HttpSpanExporter(
        signal.endpoint, signal.headers, _session(signal), timeout_s=signal.timeout_s, is_gzip=signal.gzip
    )


def metric_exporter(signal: Signal) -> MetricExporter:
    """The exporter for metrics."""
    if signal.protocol is settings.Protocol.GRPC:
        _quiet_grpc()
        from llmbatch_telemetry.exporting.grpc_metrics import GrpcMetricExporter

        return GrpcMetricExporter(**_grpc_arguments(signal))
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as Http

    return Http(**_http_arguments(signal))


class BoundedSession(requests.Session):
    """Reads no more of an answer than fits, and not for longer than the request may take: OTLP's answers say little."""

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """A request whose answer has no body for the caller; what it says is noted."""
        until = time.monotonic() + float(kwargs["timeout"])
        # Said with the request, the authorities come before those of REQUESTS_CA_BUNDLE.
        response = super().request(*args, **{**kwargs, "stream": True, "verify": self.verify})
        answer = _whole_answer(response, until)
        if answer is None:
            response.close()
            return response
        response.raw.release_conn()
        if response.status_code < _REDIRECTION:
            REJECTIONS.read(answer)
        return response


def _whole_answer(response: requests.Response, until: float) -> bytes | None:
    """Read to its end, so that its connection can serve again; None: that would take too long."""
    answer = b""
    while len(answer) < _ANSWER_BYTES and time.monotonic() < until:
        read = response.raw.read1(_ANSWER_BYTES - len(answer))
        if not read:
            return answer
        answer += read
    return None


def _session(signal: Signal) -> BoundedSession:
    _check_files(signal)
    session = BoundedSession()
    session.verify = signal.certificate or True
    if signal.client_certificate is not None:
        key = signal.client_key
        session.cert = signal.client_certificate if key is None else (signal.client_certificate, key)
    return session


def _http_arguments(signal: Signal) -> dict[str, Any]:
    from opentelemetry.exporter.otlp.proto.http import Compression

    return {
        "endpoint": signal.endpoint,
        "headers": dict(signal.headers),
        "timeout": signal.timeout_s,
        "compression": Compression.Gzip if signal.gzip else Compression.NoCompression,
        "certificate_file": signal.certificate,
        "client_certificate_file": signal.client_certificate,
        "client_key_file": signal.client_key,
        "session": _session(signal),
    }


def _grpc_arguments(signal: Signal) -> dict[str, Any]:
    import grpc  # type: ignore[import-untyped]

    _check_files(signal)
    is_plain = signal.endpoint.startswith("http://") or (
        signal.insecure is True and not signal.endpoint.startswith("https://")
    )
    credentials: Callable[..., Any] = grpc.ssl_channel_credentials
    return {
        "endpoint": signal.endpoint,
        "insecure": is_plain,
        "credentials": None
        if is_plain
        else credentials(
            root_certificates=_content(signal.certificate),
            private_key=_content(signal.client_key),
            certificate_chain=_content(signal.client_certificate),
        ),
        "headers": dict(signal.headers),
        "timeout": signal.timeout_s,
        "compression": grpc.Compression.Gzip if signal.gzip else grpc.Compression.NoCompression,
    }


def _check_files(signal: Signal) -> None:
    """Fails at once where a file is not there: otherwise every export would."""
    for path in (signal.certificate, signal.client_certificate, signal.client_key):
        _content(path)


def _content(path: str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()


def _quiet_grpc() -> None:
    """Its core writes to stderr by itself; whoever wants that can say so."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
