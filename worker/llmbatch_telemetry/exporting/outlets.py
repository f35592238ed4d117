"""Gives spans and points to exporters. Nothing here raises: these run in threads that must not end."""

from collections.abc import Sequence

from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from llmbatch_telemetry.exporting.exporters import MetricExporter, SpanExporter
from llmbatch_telemetry.exporting.health import COMPLAINTS, Health
from llmbatch_telemetry.exporting.otel_metrics import metrics_data
from llmbatch_telemetry.exporting.otlp_spans import SpanEncoder, count_of
from llmbatch_telemetry.exporting.rejections import REJECTIONS
from llmbatch_telemetry.exporting.totals import Reading
from llmbatch_telemetry.spans import Span


class SpanOutlet:
    """Sends spans and knows whether they get there."""

    def __init__(self, exporter: SpanExporter, health: Health, encoder: SpanEncoder) -> None:
        self._exporter = exporter
        self.health = health
        self._encoder = encoder

    def send(self, spans: Sequence[Span]) -> int:
        """How many were taken."""
        try:
            request = self._encoder.request(spans)
            if not (count := count_of(request)):
                return 0
            is_taken = self._exporter.export(request)
        except Exception as error:  # noqa: BLE001
            self.health.failed(repr(error))
            return 0
        self.health.note(is_taken, COMPLAINTS.taken())
        rejection = REJECTIONS.taken()
        if not is_taken:
            return 0
        self.health.rejected(rejection)
        return count if rejection is None else max(count - rejection.count, 0)

    def give_up(self) -> None:
        """End what is being sent."""
        _shut(self._exporter)


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
        self.health.rejected(REJECTIONS.taken())
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
