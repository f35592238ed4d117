"""The status of a batch, from a decision and from what workers have said. Pure.

Counts never go backwards: after a restart, what is known may lag behind what was written, and then the old stands.
"""

from dataclasses import asdict, dataclass
from datetime import datetime

from llmbatch_contract.latency import percentile_ms
from llmbatch_contract.pods import FinalCounts, Stage
from llmbatch_contract.progress import Totals
from llmbatch_contract.spec import LLMBatchSpec
from llmbatch_contract.status import (
    Condition,
    ConditionType,
    Cost,
    InputFacts,
    ItemCounts,
    LatencyMs,
    LLMBatchStatus,
    Phase,
    ShardCounts,
    TokenCounts,
)
from llmbatch_contract.usage import Usage
from llmbatch_operator.forecast import Forecast, forecast
from llmbatch_operator.observed import Decision, Fact, Observed
from llmbatch_operator.places import shown_places
from llmbatch_operator.shown import cost_of, rounded, sentence, short, since
from llmbatch_operator.tallies import final_tallies, tallies_so_far

_ASKING = (Phase.CANARY, Phase.RUNNING)
_FALSE_AT_FIRST = (ConditionType.CANARY_PASSED, ConditionType.DELIVERED)
"""Conditions that say something even if they never were true."""
_WORD_CHARS = 20
_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Pace:
    """How a batch goes at this moment."""

    totals: Totals
    in_flight: int = 0
    shards_done: int = 0
    items_per_second: float | None = None


def status_of(o: Observed, decision: Decision, pace: Pace, now: datetime) -> LLMBatchStatus:
    """The status to write."""
    now = now.replace(microsecond=0)  # as Kubernetes writes times
    old = o.status or LLMBatchStatus(phase=Phase.PENDING)
    if old.phase.is_final:
        return old
    final = o.talk.final if decision.phase.is_final else None
    counts = _final_counts(final, o.spec) if final is not None else _counts_so_far(o, old, pace, decision.phase)
    start = old.start_time or now
    fields = {
        "phase": decision.phase,
        "observed_generation": o.generation,
        "trace_id": o.trace.trace_id,
        "conditions": conditions(old.conditions, decision.facts, o.generation, now),
        "input": _input(o, old),
        "shards": _shards(o, old, pace, final),
        "start_time": start,
        "canary": old.canary or decision.canary,
        **asdict(Forecast()),
        **counts,
    }
    if decision.phase.is_final:
        fields["completion_time"] = now
        if final is not None:
            fields["items_per_minute"] = _average(final, (now - start).total_seconds())
            fields["output"] = shown_places(o.ref, o.output, final)
    else:
        counted = old.model_copy(update=counts)
        told = forecast(decision, o.spec, counted, pace.items_per_second, o.talk.waits_for, now)
        fields |= asdict(told)
    return old.model_copy(update=fields)


def conditions(
    old: list[Condition], facts: dict[ConditionType, Fact], generation: int, now: datetime
) -> list[Condition]:
    """The conditions after `facts`; the time of transition changes only where True, False or Unknown does."""
    kept = {c.type: c for c in old}
    for type_, fact in facts.items():
        status = "True" if fact.holds else "False"
        before = kept.get(type_)
        if before is None and not fact.holds and type_ not in _FALSE_AT_FIRST:
            continue
        kept[type_] = Condition(
            type=type_,
            status=status,
            reason=fact.reason,
            message=sentence(fact.message),
            last_transition_time=since(before, status, now),
            observed_generation=generation,
        )
    return list(kept.values())


def has_caught_up(totals: Totals, status: LLMBatchStatus | None) -> bool:
    """Whether workers have told of all that was written; not so after a restart, until each has spoken.

    Where pods of finished shards are gone for ever, it takes until the others have done as much.
    """
    items, tokens = (status.items, status.usage) if status is not None else (None, None)
    items, tokens = items or ItemCounts(), tokens or TokenCounts()
    return (
        totals.succeeded >= items.succeeded
        and totals.failed >= items.failed
        and totals.usage.input >= tokens.input_tokens
        and totals.usage.output >= tokens.output_tokens
        and totals.usage.cached >= tokens.cached_tokens
        and totals.usage.reasoning >= tokens.reasoning_tokens
    )


def _counts_so_far(o: Observed, old: LLMBatchStatus, pace: Pace, phase: Phase) -> dict[str, object]:
    total = o.talk.plan.items if o.talk.plan is not None else old.items.total if old.items is not None else None
    if total is None:
        return {}
    totals, in_flight = pace.totals, pace.in_flight if phase in _ASKING else 0
    if not has_caught_up(totals, old) or (old.items is None and total == 0):
        return {"items": _with_running(old.items or ItemCounts(), total, in_flight)}
    items = ItemCounts(total=total, succeeded=totals.succeeded, failed=totals.failed)
    return {
        "items": _with_running(items, total, in_flight),
        "progress": _percent(totals.finished, total),
        "attempts": max(totals.attempts, old.attempts or 0),
        "retries": max(totals.retries, old.retries or 0),
        "resent_items": max(totals.resent, old.resent_items or 0),
        "usage": _tokens(totals.usage),
        "cost": _cost(totals.usage, o.spec, old.cost),
        "latency": _latency({n: percentile_ms(totals.latency, share) for n, share in _PERCENTILES.items()}),
        "errors": tallies_so_far(totals, old.errors),
    }


def _final_counts(final: FinalCounts, spec: LLMBatchSpec | None) -> dict[str, object]:
    return {
        "items": ItemCounts(
            total=final.items, succeeded=final.succeeded, failed=final.failed, cancelled=final.cancelled
        ),
        "progress": _percent(final.succeeded + final.failed, final.items),
        "attempts": final.attempts,
        "retries": final.retries,
        "resent_items": final.resent,
        "usage": _tokens(final.usage),
        "cost": _cost(final.usage, spec, None),
        "latency": _latency(final.latency_ms),
        "errors": final_tallies(final.errors),
    }


def _with_running(items: ItemCounts, total: int, in_flight: int) -> ItemCounts:
    left = max(0, total - items.succeeded - items.failed)
    running = min(in_flight, left)
    return items.model_copy(update={"total": total, "running": running, "pending": left - running})


def _input(o: Observed, old: LLMBatchStatus) -> InputFacts | None:
    """As it was found when it was planned."""
    plan = o.talk.plan
    if plan is None or not plan.format:
        return old.input
    return InputFacts(
        format=short(plan.format, _WORD_CHARS),
        packing=short(plan.packing, _WORD_CHARS) or "none",
        objects=max(0, plan.objects),
        bytes=max(0, plan.bytes),
    )


def _shards(o: Observed, old: LLMBatchStatus, pace: Pace, final: FinalCounts | None) -> ShardCounts | None:
    known = old.shards or ShardCounts()
    total = o.talk.plan.shards if o.talk.plan is not None else known.total
    if not total and old.shards is None:
        return None
    job = o.jobs.get(Stage.SHARD) or o.jobs.get(Stage.RUN)
    succeeded = max(known.succeeded, pace.shards_done)
    active = sum(p.phase == "Running" for p in o.pods_of(Stage.SHARD, Stage.RUN))
    if final is not None:
        active, succeeded = 0, succeeded if o.condition(ConditionType.STOPPING) is not None else total
    return ShardCounts(
        total=total,
        active=active,
        succeeded=min(total, succeeded),
        failed=max(known.failed, job.failed_indexes if job is not None else 0),
    )


def _average(final: FinalCounts, seconds: float) -> float | None:
    asked = final.succeeded + final.failed
    return rounded(60 * asked / seconds) if seconds > 0 and asked else None


def _percent(done: int, total: int) -> str:
    return f"{100 * done // total}%" if total else "100%"


def _tokens(usage: Usage) -> TokenCounts:
    return TokenCounts(
        input_tokens=usage.input,
        output_tokens=usage.output,
        cached_tokens=usage.cached,
        reasoning_tokens=usage.reasoning,
        total_tokens=usage.total,
    )


def _cost(usage: Usage, spec: LLMBatchSpec | None, old: Cost | None) -> Cost | None:
    return cost_of(usage, spec.endpoint.pricing if spec is not None else None) or old


def _latency(percentiles: dict[str, float | None]) -> LatencyMs | None:
    if all(value is None for value in percentiles.values()):
        return None
    return LatencyMs(**{n: None if v is None else round(v, 1) for n, v in percentiles.items()})
