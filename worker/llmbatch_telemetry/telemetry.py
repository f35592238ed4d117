"""The telemetry of one process: what the engine, the operator and the command line are given."""

import random
from typing import Protocol

from llmbatch_telemetry.meters import Meters
from llmbatch_telemetry.spans import Span, new_span_id


class Exporting(Protocol):
    """Sends what there is, in threads of its own. Nothing here raises or waits longer than it is told to."""

    @property
    def wants_spans(self) -> bool:
        """Whether spans go anywhere."""

    def span(self, span: Span) -> None:
        """Take a span to send soon; when too many wait, it is dropped and counted."""

    def flush(self, timeout_s: float) -> bool:
        """Send all spans that wait; whether that was done in time. Does not wait for a collector that fails anyway."""

    def close(self, timeout_s: float) -> None:
        """Send all that there is, the last metrics included, and end."""


class Telemetry:
    """Spans and metrics of this process. With no exporter there are no spans, and meters may be off, too."""

    def __init__(self, meters: Meters, exporting: Exporting | None = None) -> None:
        self.meters = meters
        self._exporting = exporting
        self.has_spans = exporting is not None and exporting.wants_spans
        """Look here before making a span."""

    def span(self, span: Span) -> None:
        """Export a span."""
        if self._exporting is not None:
            self._exporting.span(span)

    def span_id(self) -> str:
        """An id for a new span."""
        return new_span_id(random.getrandbits(64))

    def flush(self, timeout_s: float) -> None:
        """See that all spans so far are sent. Blocks for so long at most."""
        if self._exporting is not None:
            self._exporting.flush(timeout_s)

    def close(self, timeout_s: float) -> None:
        """Send everything and end; to be called once, at the end of the process. Blocks for so long at most."""
        if self._exporting is not None:
            self._exporting.close(timeout_s)


def no_telemetry() -> Telemetry:
    """Nothing is kept and nothing is sent."""
    return Telemetry(Meters(is_on=False))
