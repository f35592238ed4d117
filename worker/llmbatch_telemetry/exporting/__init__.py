"""Sends spans and metrics by OTLP, with OpenTelemetry's exporters. Nothing else in the program imports OpenTelemetry.

    Telemetry.span ─► spans_sender (queue, thread) ──────┐
    Meters ─► metrics_sender (thread) ─► totals ─► outlets (otel_spans, otel_metrics) ─► exporters ─► collector

Imported by `starting` only when a signal is on, so this file itself imports nothing.
"""
