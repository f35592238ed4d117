"""How fast a batch goes and when it will be done. Pure: time is an argument."""

from collections import deque
from dataclasses import dataclass, field

_RATE_OVER_S = 30.0


@dataclass
class Speedometer:
    """Items a second over the last half minute, and when the rest will be done."""

    _points: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, now: float, done: int) -> None:
        """At `now`, in seconds, so many items are done."""
        self._points.append((now, done))
        while len(self._points) > 2 and self._points[1][0] <= now - _RATE_OVER_S:
            self._points.popleft()

    @property
    def per_second(self) -> float | None:
        """None until there is something to measure."""
        if len(self._points) < 2:
            return None
        (start, before), (end, after) = self._points[0], self._points[-1]
        return (after - before) / (end - start) if end > start and after > before else None

    def eta_s(self, left: int) -> float | None:
        """Seconds until `left` more items are done."""
        rate = self.per_second
        return left / rate if rate else None
