"""The numbers of a whole batch as points. Pure; for the operator and for the process of a local run.

They are totals of what is written down, so they equal the batch's status whatever pods went under, and stay so over
restarts: the series of a batch count from its start.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from llmbatch_contract.usage import Usage
from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Point
from llmbatch_telemetry.names import Metric


@dataclass(frozen=True)
class BatchNumbers:
    """One batch at one moment. What is None has no point."""

    namespace: str
    name: str
    started_at: float
    """Unix time."""
    size: int | None = None
    succeeded: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    """By category."""
    cancelled: int = 0
    attempts: int = 0
    usage: Usage = Usage()
    cost: float | None = None
    currency: str = ""
    resent: int = 0
    in_flight: int | None = None
    waiting: Mapping[str, int] = field(default_factory=dict)
    """By category."""
    workers: int | None = None
    time_left_s: float | None = None
    age_s: float | None = None
    idle_s: float | None = None
    held_s: Mapping[str, float] = field(default_factory=dict)
    """How long, by reason."""
    alarms_s: Mapping[str, float] = field(default_factory=dict)
    """The same of alarms."""
    budget_used: Mapping[str, float] = field(default_factory=dict)
    """Shares, by limit."""
    granted: Mapping[str, float] = field(default_factory=dict)
    """By limit."""
    endpoint: str = ""
    """Name of the LLMEndpoint; empty if it is inline."""
    waiting_workers: int | None = None


def points_of(batch: BatchNumbers) -> Iterator[Point]:
    """All points of a batch."""

    def point(metric: Metric, value: float, *more: str) -> Point:
        return Point(metric, (batch.namespace, batch.name, *more), value, batch.started_at)

    yield point(names.BATCH_ITEMS, batch.succeeded, "succeeded", "")
    yield from (point(names.BATCH_ITEMS, count, "failed", category) for category, count in batch.failed.items())
    if batch.cancelled:
        yield point(names.BATCH_ITEMS, batch.cancelled, "cancelled", "")
    yield point(names.BATCH_ATTEMPTS, batch.attempts)
    yield point(names.BATCH_RESENT, batch.resent)
    for kind in ("input", "output", "cached", "reasoning"):
        yield point(names.BATCH_TOKENS, getattr(batch.usage, kind), kind)
    if batch.cost is not None:
        yield point(names.BATCH_COST, batch.cost, batch.currency)
    for metric, values in (
        (names.BATCH_WAITING, batch.waiting),
        (names.BATCH_HELD, batch.held_s),
        (names.BATCH_ALARM, batch.alarms_s),
        (names.BATCH_BUDGET_USED, batch.budget_used),
    ):
        yield from (point(metric, value, key) for key, value in values.items())
    yield from (point(names.BATCH_GRANTED, value, limit, batch.endpoint) for limit, value in batch.granted.items())
    for metric, value in (
        (names.BATCH_SIZE, batch.size),
        (names.BATCH_IN_FLIGHT, batch.in_flight),
        (names.BATCH_WORKERS, batch.workers),
        (names.BATCH_TIME_LEFT, batch.time_left_s),
        (names.BATCH_AGE, batch.age_s),
        (names.BATCH_IDLE, batch.idle_s),
        (names.BATCH_WAITING_WORKERS, batch.waiting_workers),
    ):
        if value is not None:
            yield point(metric, value)
