"""What telemetry remembers of a batch, for as long as anybody may ask, which is longer than the batch exists. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from llmbatch_contract.trace import BatchTrace
from llmbatch_operator.cache import Known
from llmbatch_operator.facts import BatchRef, unix_time


@dataclass(frozen=True)
class About:
    """One batch."""

    ref: BatchRef
    trace: BatchTrace
    created_at: float
    """Unix time."""
    model: str = ""
    source: str | None = None
    """Name of the batch whose dead letters it asks about again."""
    budget: Mapping[str, float] = field(default_factory=dict)
    """What it may spend: `cost`, `tokens`."""


def about(known: Known, now: float) -> About | None:
    """A batch as the cache has it; None if it is gone. Its spec may be anything that the API server has let pass."""
    if known.ref is None or known.trace is None or known.body is None:
        return None
    spec = known.body.get("spec") or {}
    return About(
        ref=known.ref,
        trace=known.trace,
        created_at=unix_time(known.body["metadata"].get("creationTimestamp")) or now,
        model=str(spec.get("model") or ""),
        source=_source(spec.get("input")),
        budget=_budget(spec.get("budget")),
    )


def _source(source: object) -> str | None:
    letters = source.get("deadLettersOf") if isinstance(source, dict) else None
    name = letters.get("name") if isinstance(letters, dict) else None
    return name if isinstance(name, str) else None


def _budget(budget: object) -> dict[str, float]:
    if not isinstance(budget, dict):
        return {}
    limits = {"cost": budget.get("maxCost"), "tokens": budget.get("maxTokens")}
    return {name: limit for name, limit in limits.items() if isinstance(limit, int | float) and limit > 0}
