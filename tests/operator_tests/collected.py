"""What would be exported, kept in a list."""

from dataclasses import dataclass

from llmbatch_telemetry.spans import Span


@dataclass
class Collected:
    """An exporter."""

    spans: list[Span]

    @property
    def wants_spans(self) -> bool:
        """As Exporting's."""
        return True

    def span(self, span: Span) -> None:
        """As Exporting's."""
        self.spans.append(span)

    def flush(self, timeout_s: float) -> bool:
        """As Exporting's."""
        return True

    def close(self, timeout_s: float) -> None:
        """As Exporting's."""
