"""What there is to show of a running batch at one moment. Pure: time is an argument."""

from dataclasses import dataclass
from typing import Any

from llmbatch_contract.categories import Category
from llmbatch_contract.coordination import Coordinator
from llmbatch_contract.pace import Speedometer
from llmbatch_contract.reports import StoreTrouble
from llmbatch_contract.usage import Pricing, Usage


@dataclass(frozen=True)
class Snapshot:
    """One moment."""

    stage: str
    """planning, running, finalizing, delivering."""
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
    down_s: float | None = None
    """How long the endpoint has answered nothing; None: it answers."""
    down_message: str = ""
    store_s: float | None = None
    """How long a store of input or output has been waited for; None: it does what it should."""
    store_message: str = ""

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
            "endpoint_down_seconds": None if self.down_s is None else round(self.down_s),
            "store_waits_seconds": None if self.store_s is None else round(self.store_s),
            "errors": {category.value: count for category, count in self.errors},
        }


def snapshot(
    coordinator: Coordinator, store: StoreTrouble | None, *, pricing: Pricing | None, speed: Speedometer, now: float
) -> Snapshot:
    """The moment `now` of a running batch."""
    totals, total = coordinator.progress.totals(), coordinator.progress.items
    facts = coordinator.shares.facts(now)
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
        backoff_s=facts.backoff_s,
        down_s=facts.down_since_s,
        down_message=facts.trouble.message if facts.trouble is not None else "",
        store_s=store.for_s if store is not None else None,
        store_message=store.message if store is not None else "",
    )
