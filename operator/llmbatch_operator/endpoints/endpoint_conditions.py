"""The conditions of an LLMEndpoint, from how it is used; and which Events a change of them is worth. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from llmbatch_contract.endpoint import Limits
from llmbatch_contract.llmendpoint import EndpointCondition, EndpointConditionType, EndpointReason
from llmbatch_contract.sharing import EndpointFacts
from llmbatch_operator.endpoints.known import KnownEndpoint
from llmbatch_operator.shown import RATE_WORDS, sentence, since

_LIMITS = {**RATE_WORDS, "concurrency": "in flight"}
_WARNINGS = frozenset(
    {
        (EndpointConditionType.HEALTHY, "False"),
        (EndpointConditionType.THROTTLED, "True"),
        (EndpointConditionType.DUPLICATE, "True"),
    }
)


@dataclass(frozen=True)
class EndpointFact:
    """What a condition of an endpoint shall say; `holds` is None where nobody knows."""

    holds: bool | None
    reason: EndpointReason
    message: str


@dataclass(frozen=True)
class EndpointEvent:
    """One Event about an endpoint."""

    type: str
    """Normal or Warning."""
    reason: EndpointReason
    message: str


def endpoint_conditions(
    known: KnownEndpoint,
    facts: EndpointFacts | None,
    twins: Sequence[str],
    old: Sequence[EndpointCondition],
    now: datetime,
) -> list[EndpointCondition]:
    """The conditions to write. `facts` are None while nobody uses it; `twins` are others with the same URL and key."""
    kept = {c.type: c for c in old}
    told = {EndpointConditionType.HEALTHY: _healthy(known, facts, kept.get(EndpointConditionType.HEALTHY))}
    others = {EndpointConditionType.THROTTLED: _throttled(facts), EndpointConditionType.DUPLICATE: _duplicate(twins)}
    told |= {type_: fact for type_, fact in others.items() if fact.holds or type_ in kept}
    for type_, fact in told.items():
        kept[type_] = _condition(type_, fact, kept.get(type_), known, now)
    return list(kept.values())


def endpoint_events(old: Sequence[EndpointCondition], new: Sequence[EndpointCondition]) -> list[EndpointEvent]:
    """What to tell: conditions that came, went, or have another reason. That it answers at first is no news."""
    before = {c.type: c for c in old}
    return [_told(c) for c in new if _is_news(before.get(c.type), c)]


def _throttled(facts: EndpointFacts | None) -> EndpointFact:
    if facts is not None and facts.throttled_since_s is not None:
        return EndpointFact(True, EndpointReason.PUSHED_BACK, _pushed_back(facts))
    return EndpointFact(False, EndpointReason.RECOVERED, "as much as the limits allow may be sent")


def _duplicate(twins: Sequence[str]) -> EndpointFact:
    if twins:
        message = f"{_names(twins)} the same URL and key, and their limits add up; let batches refer to one of them"
        return EndpointFact(True, EndpointReason.SAME_URL_AND_KEY, message)
    return EndpointFact(False, EndpointReason.UNIQUE, "no other LLMEndpoint has its URL and key any more")


def _healthy(known: KnownEndpoint, facts: EndpointFacts | None, before: EndpointCondition | None) -> EndpointFact:
    if known.spec is None:
        message = f"{known.problems}; batches that run go on as they were, others wait until it is corrected"
        return EndpointFact(False, EndpointReason.INVALID_SPEC, message)
    if facts is not None and facts.is_down:
        seen = f": {facts.trouble.message}" if facts.trouble is not None else ""
        message = f"it answers nothing{seen}; batches wait, one pod asks now and then"
        return EndpointFact(False, EndpointReason.DOWN, message)
    if facts is not None and facts.has_answered:
        return EndpointFact(True, EndpointReason.ANSWERS, "it answers")
    return _as_known(facts, before) or EndpointFact(None, EndpointReason.UNUSED, "nobody has asked it yet")


def _as_known(facts: EndpointFacts | None, before: EndpointCondition | None) -> EndpointFact | None:
    """What was known before this operator started; that it was down then, only as long as somebody would notice."""
    if before is None or before.reason not in (EndpointReason.ANSWERS, EndpointReason.DOWN):
        return None
    if before.reason is EndpointReason.DOWN and facts is None:
        return None
    return EndpointFact(before.status == "True", before.reason, before.message)


def _condition(
    type_: EndpointConditionType,
    fact: EndpointFact,
    before: EndpointCondition | None,
    known: KnownEndpoint,
    now: datetime,
) -> EndpointCondition:
    status: Literal["True", "False", "Unknown"] = "Unknown" if fact.holds is None else "True" if fact.holds else "False"
    return EndpointCondition(
        type=type_,
        status=status,
        reason=fact.reason,
        message=sentence(fact.message),
        last_transition_time=since(before, status, now),
        observed_generation=known.generation,
    )


def _pushed_back(facts: EndpointFacts) -> str:
    """What is sent instead of the limits, and why."""
    less = [
        f"at most {_number(found)} {words}" + (f" of {_number(stated)}" if stated is not None else "")
        for (words, found), (_, stated) in zip(_limits(facts.effective), _limits(facts.limits), strict=True)
        if found is not None and found != stated
    ]
    parts = [f"pods send {' and '.join(less)}" if less else "pods send less than the limits allow"]
    if facts.last_error is not None:
        parts.append(f"it answered: {facts.last_error}")
    return "; ".join(parts)


def _limits(limits: Limits) -> list[tuple[str, float | None]]:
    return [(words, getattr(limits, name)) for name, words in _LIMITS.items()]


def _is_news(before: EndpointCondition | None, after: EndpointCondition) -> bool:
    if before is None:
        return after.reason is not EndpointReason.UNUSED and after.reason is not EndpointReason.ANSWERS
    if EndpointReason.UNUSED in (before.reason, after.reason):
        return after.status == "False"
    return (before.status, before.reason) != (after.status, after.reason)


def _told(condition: EndpointCondition) -> EndpointEvent:
    is_bad = (condition.type, condition.status) in _WARNINGS
    return EndpointEvent("Warning" if is_bad else "Normal", condition.reason, condition.message)


def _names(names: Sequence[str]) -> str:
    return f"the LLMEndpoint {names[0]} has" if len(names) == 1 else f"the LLMEndpoints {', '.join(names)} have"


def _number(amount: float) -> str:
    return f"{amount:,.0f}" if amount >= 10 else f"{amount:.2g}"
