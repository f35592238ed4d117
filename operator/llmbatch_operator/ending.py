"""Why a batch ends before all items are answered. Pure.

The first reason that is seen is kept in the condition Stopping, so that a restart of the operator does not change it.
"""

import re
from datetime import datetime

from llmbatch_contract.categories import Category
from llmbatch_contract.pods import Stage
from llmbatch_contract.reports import StopReason
from llmbatch_contract.status import ConditionType, Phase, Reason
from llmbatch_operator.observed import Fact, Observed

_FIRST_WORD = re.compile(r"[a-z_]+")
_CATEGORIES = {
    Reason.CANCELLED: Category.CANCELLED,
    Reason.DEADLINE_EXCEEDED: Category.DEADLINE,
    Reason.WORKERS_FAILED: Category.UNKNOWN,
}


def why_it_ends_early(o: Observed, now: datetime) -> Fact | None:
    """The reason why the batch has to end, in order: known already, asked for, too late, failed, workers died."""
    if (known := o.condition(ConditionType.STOPPING)) is not None:
        return Fact(True, known.reason, known.message)
    if o.spec is not None and o.spec.cancel:
        return Fact(True, Reason.CANCELLED, "spec.cancel is set")
    if (left := seconds_to_deadline(o, now)) is not None and left <= 0:
        assert o.spec is not None
        return Fact(True, Reason.DEADLINE_EXCEEDED, f"not done within {o.spec.active_deadline_seconds} s of its start")
    if o.talk.stop is not None:
        reason = Reason.FAILURE_POLICY_EXCEEDED if o.talk.stop_is_policy else Reason.STOPPED_BY_FAILURE
        return Fact(True, reason, _sentence(o.talk.stop))
    return _workers_failed(o)


def stop_reason(fact: Fact) -> StopReason:
    """The reason as finalize is told, and writes into dead letters and summary."""
    if fact.reason in _CATEGORIES:
        return StopReason(category=_CATEGORIES[fact.reason], message=fact.message)
    category = _FIRST_WORD.match(fact.message)
    assert category is not None  # `_sentence` has put it there
    return StopReason(category=Category(category[0]), message=fact.message)


def final_phase(fact: Fact) -> Phase:
    """Where a batch stands that ended so."""
    return Phase.CANCELLED if fact.reason is Reason.CANCELLED else Phase.FAILED


def seconds_to_deadline(o: Observed, now: datetime) -> float | None:
    """How long the batch may still run; None for ever. The clock starts with the batch and is not held by suspend."""
    if o.spec is None or o.spec.active_deadline_seconds is None or o.start_time is None:
        return None
    return o.spec.active_deadline_seconds - (now - o.start_time).total_seconds()


def _sentence(stop: StopReason) -> str:
    """The reason in words, the category first. Workers that were told to stop say `cancelled`: nobody has cancelled."""
    category = Category.UNKNOWN if stop.category is Category.CANCELLED else stop.category
    first = _FIRST_WORD.match(stop.message)
    return stop.message if first is not None and first[0] == category else f"{category}: {stop.message}"


def _workers_failed(o: Observed) -> Fact | None:
    for stage in (Stage.SHARD, Stage.RUN, Stage.CANARY):
        job = o.jobs.get(stage)
        if job is None or job.failure is None:
            continue
        where = _whose(stage, job.failed_indexes)
        detail = o.why_failed(stage)
        return Fact(True, Reason.WORKERS_FAILED, f"the pods of {where} failed too often; the last: {detail}")
    return None


def _whose(stage: Stage, failed_shards: int) -> str:
    if stage is Stage.SHARD and failed_shards:
        return "1 shard" if failed_shards == 1 else f"{failed_shards:,} shards"
    return "the canary" if stage is Stage.CANARY else "the batch"
