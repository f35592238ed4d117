"""When a batch will be done, at the pace of this moment and with all that may hold it. Pure."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from llmbatch_contract.spec import LLMBatchSpec
from llmbatch_contract.status import ItemCounts, LLMBatchStatus, Phase, Reason
from llmbatch_operator.budget import will_not_do
from llmbatch_operator.observed import Decision
from llmbatch_operator.shown import duration, rounded
from llmbatch_operator.window import end_of_work, next_open

_SECOND = timedelta(seconds=1)
LARGER_BUDGET = "a larger budget"


@dataclass(frozen=True)
class Forecast:
    """What the status says of the time to come; None: it cannot be said."""

    items_per_minute: float | None = None
    time_left: str | None = None
    estimated_completion_time: datetime | None = None
    next_start_time: datetime | None = None
    waiting_for: str | None = None


def forecast(
    decision: Decision,
    spec: LLMBatchSpec | None,
    status: LLMBatchStatus,
    items_per_second: float | None,
    waits_for: tuple[str, ...],
    now: datetime,
) -> Forecast:
    """The time to come of a batch that has not ended; `status` holds its counts, and the forecast of before."""
    opens = _opens(decision.phase, spec, now)
    match decision.phase:
        case Phase.RUNNING | Phase.CANARY:
            waiting_for = decision.waiting_for or ", ".join(waits_for) or None
            speed = None if not items_per_second else rounded(60 * items_per_second)
            if decision.phase is Phase.CANARY or decision.waiting_for is not None:
                return Forecast(speed, next_start_time=opens, waiting_for=waiting_for)
            if spec is not None and will_not_do(spec.budget, status):
                return Forecast(speed, next_start_time=opens, waiting_for=LARGER_BUDGET)
            end = _end(spec, status.items, items_per_second, now)
            return Forecast(speed, _left(end, now), end, opens, waiting_for)
        case Phase.SUSPENDED if _is_for_window(decision):
            end = status.estimated_completion_time  # the hours that it is closed were counted in
            end = end if end is not None and end > now else None
            return Forecast(None, _left(end, now), end, opens, decision.waiting_for)
        case _:
            return Forecast(next_start_time=opens, waiting_for=decision.waiting_for)


def _opens(phase: Phase, spec: LLMBatchSpec | None, now: datetime) -> datetime | None:
    if spec is None or spec.window is None or phase is Phase.FINALIZING:
        return None
    return next_open(spec.window, now)


def _end(
    spec: LLMBatchSpec | None, items: ItemCounts | None, items_per_second: float | None, now: datetime
) -> datetime | None:
    if items is None or not items_per_second:
        return None
    seconds = math.ceil((items.pending + items.running) / items_per_second)
    return end_of_work(spec.window if spec is not None else None, now, seconds)


def _left(end: datetime | None, now: datetime) -> str | None:
    return None if end is None else duration((end - now) / _SECOND)


def _is_for_window(decision: Decision) -> bool:
    return any(f.holds and f.reason is Reason.OUTSIDE_WINDOW for f in decision.facts.values())
