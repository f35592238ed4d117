"""Puts exporting together: for each signal that is on, an exporter, its health, and a thread that sends."""

import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from opentelemetry.sdk.resources import (
    TELEMETRY_SDK_LANGUAGE,
    TELEMETRY_SDK_NAME,
    TELEMETRY_SDK_VERSION,
    Resource,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from llmbatch_telemetry.exporting.exporters import metric_exporter, span_exporter
from llmbatch_telemetry.exporting.health import Health, quiet_exporters
from llmbatch_telemetry.exporting.metrics_sender import MetricsSender
from llmbatch_telemetry.exporting.otlp_spans import SpanEncoder, clean
from llmbatch_telemetry.exporting.outlets import MetricOutlet, SpanOutlet
from llmbatch_telemetry.exporting.spans_sender import SpansSender
from llmbatch_telemetry.meters import Meters
from llmbatch_telemetry.settings import Settings
from llmbatch_telemetry.spans import Span


class OtlpExporting:
    """Sends by OTLP. Satisfies `telemetry.Exporting`."""

    def __init__(self, spans: SpansSender | None, metrics: MetricsSender | None) -> None:
        self._spans = spans
        self._metrics = metrics

    @property
    def wants_spans(self) -> bool:
        """Whether spans go anywhere."""
        return self._spans is not None

    def span(self, span: Span) -> None:
        """Queue a span."""
        if self._spans is not None:
            self._spans.put(span)

    def flush(self, timeout_s: float) -> bool:
        """Send the spans that wait."""
        return self._spans is None or self._spans.flush(timeout_s)

    def close(self, timeout_s: float) -> None:
        """Send the last spans, then the last metrics, which tell how many spans were lost."""
        until = time.monotonic() + timeout_s
        if self._spans is not None:
            self._spans.close(timeout_s if self._metrics is None else timeout_s / 2)
        if self._metrics is not None:
            self._metrics.close(until - time.monotonic())


def start_exporting(
    settings: Settings, spans_attributes: Mapping[str, str], attributes: Mapping[str, str], meters: Meters
) -> OtlpExporting:
    """Begin to send what the settings ask for, as the resources that the attributes describe.

    Raises for what cannot work, such as a certificate that is not there.
    """
    scope = InstrumentationScope("llmbatch", _version())
    # Both are made before either is started: one that cannot be made leaves no thread of the other.
    for_spans = None if settings.traces is None else span_exporter(settings.traces)
    for_metrics = None if settings.metrics is None else metric_exporter(settings.metrics)
    quiet_exporters()
    spans = metrics = None
    if for_spans is not None and settings.traces is not None:
        health = Health("spans", settings.traces)
        spans = SpansSender(
            SpanOutlet(for_spans, health, SpanEncoder(_resource(spans_attributes), scope)), settings.queue
        )
        meters.observe(spans.points)
    if for_metrics is not None and settings.metrics is not None:
        health = Health("metrics", settings.metrics)
        outlet = MetricOutlet(for_metrics, health, _resource(attributes), scope)
        metrics = MetricsSender(outlet, meters, settings.interval_s, settings.temporality)
    return OtlpExporting(spans, metrics)


def _resource(attributes: Mapping[str, str]) -> Resource:
    """Made from what is passed in alone: the SDK's own way would look at the environment and the machine."""
    sdk = {TELEMETRY_SDK_NAME: "opentelemetry", TELEMETRY_SDK_LANGUAGE: "python"}
    sdk[TELEMETRY_SDK_VERSION] = _version("opentelemetry-sdk")
    return Resource({**sdk, **{clean(key): clean(value) for key, value in attributes.items()}})


def _version(distribution: str = "llmbatch") -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
