"""The status of an LLMEndpoint, from how it is used. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from llmbatch_contract.llmendpoint import (
    EndpointCondition,
    EndpointConditionType,
    EndpointReason,
    LLMEndpointStatus,
    Rates,
)
from llmbatch_contract.sharing import Amounts, EndpointFacts
from llmbatch_operator.endpoints.endpoint_conditions import endpoint_conditions
from llmbatch_operator.endpoints.known import KnownEndpoint
from llmbatch_operator.shown import sentence

_LIMITS = tuple(Rates.model_fields)
"""As `Limits` and `Amounts` name them, too."""
_SAME_TIME_S = 5.0
"""Ages are told in seconds that have passed: a time that differs by less is the same."""


def endpoint_status(
    known: KnownEndpoint,
    facts: EndpointFacts | None,
    *,
    batches: int,
    twins: Sequence[str],
    old: LLMEndpointStatus | None,
    now: datetime,
) -> LLMEndpointStatus:
    """The status to write. `facts` are None while no pod asks it; `twins` are others with the same URL and key."""
    now = now.replace(microsecond=0)  # as Kubernetes writes times
    old = old or LLMEndpointStatus()
    conditions = endpoint_conditions(known, facts, twins, old.conditions, now)
    fields: dict[str, object] = {
        "observed_generation": known.generation,
        "conditions": conditions,
        "health": _health(conditions),
        "batches": batches,
        "pods": facts.pods if facts is not None else 0,
        "waiting_pods": facts.waiting_pods if facts is not None else 0,
        "granted": _granted(facts) if facts is not None else None,
        "used": _rates(facts.used, _LIMITS) if facts is not None else None,
        "throttled_until": None,
        "throttled_since": None,
    }
    if facts is not None:
        backoff_s = -facts.backoff_s if facts.backoff_s > 0 else None
        fields["throttled_until"] = _time(old.throttled_until, backoff_s, now)
        fields["throttled_since"] = _time(old.throttled_since, facts.throttled_since_s, now)
        if facts.last_error is not None:
            fields["last_error"] = sentence(facts.last_error)
            fields["last_error_time"] = _time(old.last_error_time, facts.last_error_ago_s, now)
    return old.model_copy(update=fields)


def twins_of(known: KnownEndpoint, others: Iterable[KnownEndpoint]) -> list[str]:
    """Names of other LLMEndpoints with the same URL and key."""
    if known.spec is None:
        return []
    mine = _identity(known)
    return sorted(other.name for other in others if other.name != known.name and _identity(other) == mine)


def _identity(known: KnownEndpoint) -> object:
    return None if known.spec is None else (known.spec.url.rstrip("/").lower(), known.spec.api_key_secret)


def _health(conditions: Sequence[EndpointCondition]) -> str:
    by_type = {c.type: c for c in conditions}
    healthy, throttled = by_type[EndpointConditionType.HEALTHY], by_type.get(EndpointConditionType.THROTTLED)
    if healthy.reason is EndpointReason.INVALID_SPEC:
        return "Invalid"
    if healthy.status == "False":
        return "Down"
    if throttled is not None and throttled.status == "True":
        return "Throttled"
    return "Healthy" if healthy.status == "True" else "Unused"


def _granted(facts: EndpointFacts) -> Rates:
    """Of what is not limited, pods may use any amount, and no number says that."""
    return _rates(facts.granted, [name for name in _LIMITS if getattr(facts.effective, name) is not None])


def _rates(amounts: Amounts, names: Iterable[str]) -> Rates:
    """Numbers that are read at a glance, and do not change with every request."""
    return Rates(**{name: _rounded(getattr(amounts, name)) for name in names})


def _rounded(amount: float) -> float:
    return float(round(amount)) if amount >= 10 else round(amount, 1)


def _time(old: datetime | None, ago_s: float | None, now: datetime) -> datetime | None:
    """The time so long ago; the one that is written already, if that is the same but for seconds."""
    if ago_s is None:
        return None
    time = (now - timedelta(seconds=ago_s)).replace(microsecond=0)
    return old if old is not None and abs((old - time).total_seconds()) < _SAME_TIME_S else time
