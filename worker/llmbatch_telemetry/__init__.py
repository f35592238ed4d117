"""What LLMBatch tells of itself: spans, metrics and logs, by the names that `names` defines.

    engine, operator, command line ─► Telemetry ─► meters, spans ─► exporting (OpenTelemetry's exporters) ─► collector
                                                     └──────────► prometheus (the operator's /metrics)

`telemetry.start_telemetry` reads the standard OTEL_* variables; where they ask for nothing, nothing is imported or
started. Telemetry that fails never fails a batch: nothing here raises, waits or grows without a bound.
"""
