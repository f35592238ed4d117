"""Sends spans and metrics by OTLP. Nothing else in the program imports OpenTelemetry.

    Telemetry.span ─► spans_sender (queue, thread) ─► outlets (otlp_spans) ─► http_spans, grpc_spans ─► collector
    Meters ─► metrics_sender (thread) ─► totals ─► outlets (otel_metrics) ─► OpenTelemetry's exporters ─► collector

Imported by `starting` only when a signal is on, so this file itself imports nothing.
"""
