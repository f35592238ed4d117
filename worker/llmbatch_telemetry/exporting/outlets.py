"""Gives spans and points to OpenTelemetry's exporters. Nothing here raises: these run in threads that must not end."""

from collections.abc import Sequence

from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from llmbatch_telemetry.exporting.exporters import MetricExporter, SpanExporter
from llmbatch_telemetry.exporting.health import COMPLAINTS, Health
from llmbatch_telemetry.exporting.otel_metrics import metrics_data
from llmbatch_telemetry.exporting.otel_spans import otel_span
from llmbatch_telemetry.exporting.totals import Reading
from llmbatch_telemetry.spans import Span


class SpanOutlet:
    """Sends spans and knows whether they get there."""

    def __init__(self, exporter: SpanExporter, health: Health, resource: Resource, scope: InstrumentationScope) -> None:
        self._exporter = exporter
        self.health = health
        self._resource = resource
        self._scope = scope

    def send(self, spans: Sequence[Span]) -> int:
        """How many were taken."""
        sound = [made for span in spans if (made := self._made(span)) is not None]
        if not sound:
            return 0
        try:
            is_taken = self._exporter.export(sound) is SpanExportResult.SUCCESS
        except Exception as error:  # noqa: BLE001
            self.health.failed(repr(error))
            return 0
        self.health.note(is_taken, COMPLAINTS.taken())
        return len(sound) if is_taken else 0

    def give_up(self) -> None:
        """End what is being sent."""
        _shut(self._exporter)

    def _made(self, span: Span) -> ReadableSpan | None:
        """None for one that cannot be sent, which must not cost the others."""
        try:
            return otel_span(span, self._resource, self._scope)
        except Exception:  # noqa: BLE001
            return None


class MetricOutlet:
    """Sends points and knows whether they get there."""

    def __init__(
        self, exporter: MetricExporter, health: Health, resource: Resource, scope: InstrumentationScope
    ) -> None:
        self._exporter = exporter
        self.health = health
        self._resource = resource
        self._scope = scope

    def send(self, readings: Sequence[Reading], at: float) -> bool:
        """Whether they were taken."""
        try:
            data = metrics_data(readings, at, self._resource, self._scope)
            is_taken = self._exporter.export(data) is MetricExportResult.SUCCESS
        except Exception as error:  # noqa: BLE001
            self.health.failed(repr(error))
            return False
        self.health.note(is_taken, COMPLAINTS.taken())
        return is_taken

    def give_up(self) -> None:
        """End what is being sent."""
        _shut(self._exporter)


def _shut(exporter: SpanExporter | MetricExporter) -> None:
    """Whatever state it is in."""
    try:
        exporter.shutdown()
    except Exception:  # noqa: BLE001
        COMPLAINTS.taken()
