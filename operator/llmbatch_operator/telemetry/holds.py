"""What holds a batch, which alarms there are about it, and how much of its budget is spent: from its status. Pure."""

from collections.abc import Mapping

from llmbatch_contract.status import Condition, ConditionType, LLMBatchStatus, Phase, Reason

_HOLDS = (
    ConditionType.SUSPENDED,
    ConditionType.BUDGET_EXCEEDED,
    ConditionType.BLOCKED,
    ConditionType.ENDPOINT_DOWN,
)
_ALARMS = (ConditionType.ERROR_RATE_HIGH, ConditionType.SLOW, ConditionType.STALLED)
_WAITS_FOR_APPROVAL = (Reason.APPROVAL_NEEDED, Reason.CANARY_FAILED)


def held_s(status: LLMBatchStatus, now: float) -> dict[str, float]:
    """How long what has held the batch, by reason; at `now` of Unix time."""
    return {c.reason.value: _age_s(c, now) for c in status.conditions if _holds(c, status.phase)}


def alarms_s(status: LLMBatchStatus, now: float) -> dict[str, float]:
    """How long which alarms have lasted."""
    return {c.type.value: _age_s(c, now) for c in status.conditions if c.type in _ALARMS and c.status == "True"}


def budget_used(status: LLMBatchStatus, budget: Mapping[str, float]) -> dict[str, float]:
    """Shares of the budget's limits that are spent."""
    spent = {
        "cost": status.cost.amount if status.cost is not None else 0.0,
        "tokens": status.usage.total_tokens if status.usage is not None else 0,
    }
    return {name: spent[name] / limit for name, limit in budget.items()}


def _holds(condition: Condition, phase: Phase) -> bool:
    if condition.type is ConditionType.CANARY_PASSED:
        return phase is Phase.AWAITING_APPROVAL and condition.reason in _WAITS_FOR_APPROVAL
    return condition.type in _HOLDS and condition.status == "True"


def _age_s(condition: Condition, now: float) -> float:
    return max(0.0, now - condition.last_transition_time.timestamp())
