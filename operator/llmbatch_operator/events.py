"""Which Kubernetes Events a change of the status is worth. Pure. The reasons are those of the conditions."""

from dataclasses import dataclass

from llmbatch_contract.status import Condition, ConditionType, LLMBatchStatus, Phase, Reason

_GOOD = frozenset(
    (
        ConditionType.PLANNED,
        ConditionType.COMPLETE,
        ConditionType.SUSPENDED,
        ConditionType.CANCELLED,
        ConditionType.CANARY_PASSED,
        ConditionType.DELIVERED,
    )
)
_BAD = frozenset(
    (
        Reason.BUDGET_EXCEEDED,
        Reason.CANARY_FAILED,
        Reason.NOT_DELIVERED,
        Reason.ENDPOINT_MISSING,
        Reason.ENDPOINT_FORBIDDEN,
        Reason.ENDPOINT_INVALID,
    )
)
"""Reasons that somebody has to do something about, whatever the condition."""
_PHASES = {
    Phase.PLANNING: (Reason.PLANNING, "reading the input"),
    Phase.CANARY: (Reason.CANARY, "one pod asks about a few items first"),
    Phase.RUNNING: (Reason.RUNNING, "pods ask about the items"),
    Phase.FINALIZING: (Reason.FINALIZING, "writing results and errors"),
}


@dataclass(frozen=True)
class Event:
    """One Event."""

    type: str
    """Normal or Warning."""
    reason: Reason
    message: str


def events_of(old: LLMBatchStatus | None, new: LLMBatchStatus) -> tuple[Event, ...]:
    """What to tell: conditions that came, went, or have another reason, and a new phase of work. The same once only."""
    before = {c.type: c for c in old.conditions} if old is not None else {}
    events = [_told(c) for c in new.conditions if _is_news(before.get(c.type), c)]
    if (old is None or old.phase is not new.phase) and new.phase in _PHASES:
        events.append(Event("Normal", *_PHASES[new.phase]))
    return tuple(dict.fromkeys(events))


def _is_news(before: Condition | None, after: Condition) -> bool:
    return before is None or (before.status, before.reason) != (after.status, after.reason)


def _told(condition: Condition) -> Event:
    is_good = (condition.status == "False" or condition.type in _GOOD) and condition.reason not in _BAD
    return Event("Normal" if is_good else "Warning", condition.reason, condition.message)
