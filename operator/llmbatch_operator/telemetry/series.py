"""The numbers of batches as points. They are those of the status that was written last, and nothing else.

So they equal the status at every moment, and never go backwards over a restart: what was not written was not told.
Only what has no memory, such as requests in flight, is asked of those who know it now.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from llmbatch_contract.status import LLMBatchStatus, Phase
from llmbatch_contract.usage import Usage
from llmbatch_operator.telemetry.about import About
from llmbatch_operator.telemetry.endpoints import EndpointSeries
from llmbatch_operator.telemetry.holds import alarms_s, budget_used, held_s
from llmbatch_telemetry.batches import BatchNumbers, points_of
from llmbatch_telemetry.meters import Attributes, Point, is_total
from llmbatch_telemetry.names import Metric

ENDED_FOR_S = 900.0
"""So long the numbers of a batch are told that has ended."""
GONE_FOR_S = 120.0
"""And of one that was deleted: its last numbers are to reach whoever collects once a minute."""


@dataclass(frozen=True)
class Live:
    """What workers say of a batch at this moment."""

    in_flight: int
    waiting: Mapping[str, int]
    workers: int


@dataclass(frozen=True)
class Written:
    """A batch as its status has it."""

    about: About
    status: LLMBatchStatus
    failed: Mapping[str, int]
    """By category."""
    moved_at: float
    """When an item had ended last, or the batch had begun to run; Unix time."""
    gone_at: float | None = None
    told: Mapping[tuple[Metric, Attributes], float] = field(default_factory=dict)
    """Counts that were there before this operator started: the one before it has told them."""


@dataclass
class Series:
    """All batches. `points` may be called from any thread, everything else from the event loop's."""

    live: Callable[[str], Live | None]
    """What workers say of the batch of that uid; None when it does not run."""
    clock: Callable[[], float]
    endpoints: EndpointSeries = field(init=False)
    _written: dict[str, Written] = field(default_factory=dict)
    _gone: deque[tuple[float, str]] = field(default_factory=deque)
    """When which batches were deleted, in this order: thousands may be at once."""

    def __post_init__(self) -> None:
        self.endpoints = EndpointSeries(self.clock())

    def get(self, uid: str) -> Written | None:
        """What is known of a batch."""
        return self._written.get(uid)

    def write(self, about: About, status: LLMBatchStatus, failed: Mapping[str, int], *, is_found: bool = False) -> None:
        """A status was written; or found as it was written before this operator started."""
        uid, before, now = about.ref.uid, self._written.get(about.ref.uid), self.clock()
        if before is not None:
            moved_at = now if _position(before.status) != _position(status) else before.moved_at
            self._written[uid] = replace(before, about=about, status=status, failed=failed, moved_at=moved_at)
            return
        written = Written(about, status, failed, moved_at=now)
        if is_found and not _is_over(written, now):
            written = replace(written, told=_counts(points_of(self._numbers(uid, written, now))))
        self._written[uid] = written

    def gone(self, uid: str) -> None:
        """The batch was deleted."""
        written = self._written.get(uid)
        now = self.clock()
        if written is not None and written.gone_at is None:
            self._written[uid] = replace(written, gone_at=now)
            self._gone.append((now, uid))
        while self._gone and now - self._gone[0][0] > GONE_FOR_S:
            self._written.pop(self._gone.popleft()[1], None)

    def points(self) -> Iterable[Point]:
        """Everything, at this moment."""
        now = self.clock()
        points: list[Point] = []
        for uid, written in list(self._written.items()):
            if not _is_over(written, now):
                for point in points_of(self._numbers(uid, written, now)):
                    told = written.told.get((point.metric, point.attributes))
                    points.append(replace(point, told=told) if told else point)
        points += self.endpoints.points()
        return points

    def _numbers(self, uid: str, written: Written, now: float) -> BatchNumbers:
        status, ref = written.status, written.about.ref
        items, usage, cost = status.items, status.usage, status.cost
        started_at = status.start_time.timestamp() if status.start_time is not None else written.about.created_at
        runs = not status.phase.is_final and written.gone_at is None
        live = self.live(uid) if runs else None
        shared = self.endpoints.of_batch(uid) if runs else None
        return BatchNumbers(
            namespace=ref.namespace,
            name=ref.name,
            started_at=started_at,
            size=items.total if items is not None else None,
            succeeded=items.succeeded if items is not None else 0,
            failed=written.failed,
            cancelled=items.cancelled if items is not None else 0,
            attempts=status.attempts or 0,
            usage=Usage()
            if usage is None
            else Usage(usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens),
            cost=cost.amount if cost is not None else None,
            currency=cost.currency if cost is not None else "",
            resent=status.resent_items or 0,
            in_flight=live.in_flight if live is not None else None,
            waiting=live.waiting if live is not None else {},
            workers=live.workers if live is not None else None,
            time_left_s=_time_left_s(status, now) if runs else None,
            age_s=now - started_at if runs else None,
            idle_s=now - written.moved_at if runs and status.phase is Phase.RUNNING else None,
            held_s=held_s(status, now) if runs else {},
            alarms_s=alarms_s(status, now) if runs else {},
            budget_used=budget_used(status, written.about.budget) if runs else {},
            granted=shared.granted if shared is not None else {},
            endpoint=shared.endpoint if shared is not None else "",
            waiting_workers=shared.waiting_workers if shared is not None else None,
        )


def _counts(points: Iterable[Point]) -> dict[tuple[Metric, Attributes], float]:
    totals = (point for point in points if is_total(point.metric))
    return {(p.metric, p.attributes): p.value for p in totals if isinstance(p.value, int | float)}


def _position(status: LLMBatchStatus) -> tuple[Phase, int]:
    return status.phase, status.items.succeeded + status.items.failed if status.items is not None else 0


def _time_left_s(status: LLMBatchStatus, now: float) -> float | None:
    end = status.estimated_completion_time
    return None if end is None else max(0.0, end.timestamp() - now)


def _is_over(written: Written, now: float) -> bool:
    if written.gone_at is not None:
        return now - written.gone_at > GONE_FOR_S
    end = written.status.completion_time
    return end is not None and now - end.timestamp() > ENDED_FOR_S
