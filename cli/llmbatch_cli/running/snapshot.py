"""What there is to show of a running batch at one moment. Pure: time is an argument."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from llmbatch_contract.categories import Category
from llmbatch_contract.coordination import Coordinator
from llmbatch_contract.usage import Pricing, Usage

_RATE_OVER_S = 30.0


@dataclass(frozen=True)
class Snapshot:
    """One moment."""

    stage: str
    """planning, running, finalizing."""
    total: int
    succeeded: int = 0
    failed: int = 0
    in_flight: int = 0
    retries: int = 0
    usage: Usage = Usage()
    cost: float | None = None
    currency: str = ""
    items_per_second: float | None = None
    eta_s: float | None = None
    errors: tuple[tuple[Category, int], ...] = ()
    waiting: tuple[tuple[Category, int], ...] = ()
    """Items that wait to be asked again, by the failure that they wait after."""
    backoff_s: float = 0
    """How long the endpoint asked everybody to wait."""

    @property
    def done(self) -> int:
        """Items with a record."""
        return self.succeeded + self.failed

    def as_json(self) -> dict[str, Any]:
        """As a line of `--output json`."""
        return {
            "stage": self.stage,
            "items": {"total": self.total, "succeeded": self.succeeded, "failed": self.failed},
            "in_flight": self.in_flight,
            "retries": self.retries,
            "usage": self.usage.record(),
            "cost": self.cost,
            "items_per_minute": None if self.items_per_second is None else round(self.items_per_second * 60, 1),
            "eta_seconds": None if self.eta_s is None else round(self.eta_s),
            "waiting": {category.value: count for category, count in self.waiting},
            "backoff_seconds": round(self.backoff_s, 1),
            "errors": {category.value: count for category, count in self.errors},
        }


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


def snapshot(coordinator: Coordinator, *, pricing: Pricing | None, speed: Speedometer, now: float) -> Snapshot:
    """The moment `now` of a running batch."""
    totals, total = coordinator.progress.totals(), coordinator.progress.items
    succeeded, failed = totals.succeeded + totals.unwritten_succeeded, totals.failed + totals.unwritten_failed
    speed.note(now, succeeded + failed)
    return Snapshot(
        stage="running",
        total=total,
        succeeded=succeeded,
        failed=failed,
        in_flight=coordinator.in_flight,
        retries=totals.retries,
        usage=totals.usage,
        cost=totals.usage.cost(pricing),
        currency=pricing.currency if pricing is not None else "",
        items_per_second=speed.per_second,
        eta_s=speed.eta_s(total - succeeded - failed),
        errors=tuple(totals.top_errors(3)),
        waiting=tuple(sorted(coordinator.waiting.items(), key=lambda w: -w[1])),
        backoff_s=coordinator.backoff_s(now),
    )
