"""Sends requests with spans by gRPC, with OpenTelemetry's exporter: only the making of them from spans is left out."""

from typing import Any

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SpanExportResult

from llmbatch_telemetry.exporting.rejections import ReadAnswers


class GrpcSpanExporter:
    """One collector; the arguments are those of OpenTelemetry's."""

    def __init__(self, **arguments: Any) -> None:
        self._exporter = _Made(**arguments)

    def export(self, request: ExportTraceServiceRequest) -> bool:
        """Whether it was taken, with tries within the timeout."""
        made: Any = [request]
        return self._exporter.export(made) is SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Give up what is being sent."""
        self._exporter.shutdown()


class _Made(ReadAnswers, OTLPSpanExporter):
    def _translate_data(self, data: Any) -> ExportTraceServiceRequest:
        """What every exporter says for its signal: here it is a request already."""
        request: ExportTraceServiceRequest
        [request] = data
        return request
