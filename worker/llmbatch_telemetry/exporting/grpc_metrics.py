"""Sends metrics by gRPC, with OpenTelemetry's exporter."""

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

from llmbatch_telemetry.exporting.rejections import ReadAnswers


class GrpcMetricExporter(ReadAnswers, OTLPMetricExporter):
    """One collector; the arguments are those of OpenTelemetry's."""
