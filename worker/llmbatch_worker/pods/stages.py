"""The stages of a batch, each as one pod does it; every one may be started again after a pod died.

Each takes a Pod, notes what it learns, and returns how it ended. What a stage does not need it does not import: a pod
shall be at work a second after its start.
"""

import asyncio
import time
from typing import Any

import pydantic

from llmbatch_contract import layout
from llmbatch_contract.errors import (
    ClaimLostError,
    InputMissingError,
    InvalidError,
    StateMismatchError,
    StoreDeniedError,
    StoreFullError,
)
from llmbatch_contract.exits import Exit
from llmbatch_contract.plan import Plan
from llmbatch_telemetry import names
from llmbatch_telemetry.names import SpanName
from llmbatch_telemetry.spans import Value
from llmbatch_worker.pods import housekeeping
from llmbatch_worker.pods.canary import first_items
from llmbatch_worker.pods.journal import log
from llmbatch_worker.pods.pod import Pod
from llmbatch_worker.pods.words import facts_of, final_counts
from llmbatch_worker.pods.working import work
from llmbatch_worker.work import utc

_FINALIZE_WAITS_S = 600.0
"""For a store in trouble; then another pod tries."""
_WRITES_AGAIN = 3


def plan_stage(pod: Pod) -> Exit:
    """Plan, unless an earlier pod did."""
    with pod.watching(), pod.telling.stage(SpanName.PLAN) as told:
        _tell_of_plan(told, _plan_or_continue(pod))
    return Exit.SUCCEEDED


def _plan_if_need_be(pod: Pod) -> Plan:
    """The plan, in a stage whose own work begins after it."""
    if pod.working.exists(layout.PLAN):
        return _planned_before(pod)
    with pod.telling.stage(SpanName.PLAN) as told:
        plan = _plan_or_continue(pod)
        _tell_of_plan(told, plan)
        return plan


def _tell_of_plan(told: dict[str, Value], plan: Plan) -> None:
    told[names.ITEMS], told[names.SHARDS] = plan.items, len(plan.shards)


def _plan_or_continue(pod: Pod) -> Plan:
    """The batch's plan. Raises InputError, InvalidError and StoreError."""
    if pod.working.exists(layout.PLAN):
        return _planned_before(pod)
    pod.troubles.is_patient = False
    try:
        housekeeping.take_place(pod.config, pod.stores, pod.troubles, pod.halt.check)
        return _make_plan(pod)
    except ClaimLostError:  # another pod was quicker; its plan is as good
        return _planned_before(pod)
    except InvalidError as error:
        is_final = not isinstance(error, InputMissingError) and not pod.working.exists(layout.PLAN)
        if is_final:  # it is never tried again
            housekeeping.leave_nothing(pod.config, pod.stores)
        raise
    finally:
        pod.troubles.is_patient = True


def _make_plan(pod: Pod) -> Plan:
    from llmbatch_worker.planning.marks import pod_shard_size
    from llmbatch_worker.planning.planner import make_plan

    config = pod.config
    planned = make_plan(
        config.job.batch,
        pod.working,
        uid=config.uid,
        created_at=_now(),
        trace=config.trace,
        stores=pod.stores,
        workers=config.workers,
        size=pod_shard_size,
        on_items=lambda _items: pod.halt.check(),
    )
    pod.notes.plan = facts_of(planned.plan, planned.misfits, planned.first_misfit)
    log.info("planned %d items in %d shards", planned.plan.items, len(planned.plan.shards))
    return planned.plan


def _planned_before(pod: Pod) -> Plan:
    try:
        plan = Plan.load(pod.working.read(layout.PLAN))
    except pydantic.ValidationError as error:
        raise StateMismatchError(
            f"{pod.working.where(layout.PLAN)} was written by another version of llmbatch; start the batch anew"
        ) from error
    pod.notes.plan = facts_of(plan)
    return plan


def canary_stage(pod: Pod) -> Exit:
    """Ask the first items of some shards, and leave these shards to the pods that come after."""
    pod.troubles.is_patient = True
    canary = pod.config.job.batch.spec.canary
    with pod.telling.shard(0):
        plan = _planned_before(pod)
        first = first_items(plan.shards, canary.items if canary is not None else 0)
        return asyncio.run(work(pod, plan, first, first))


def shard_stage(pod: Pod) -> Exit:
    """Work on the shard whose number is the pod's index."""
    index = pod.setting.index
    if not index.isdecimal():
        raise InvalidError(f"JOB_COMPLETION_INDEX is {index!r}, which is no number")
    pod.troubles.is_patient = True
    with pod.telling.shard(int(index)):
        plan = _planned_before(pod)
        if int(index) >= len(plan.shards):
            raise InvalidError(f"JOB_COMPLETION_INDEX is {index!r}, which is none of {len(plan.shards)} shards")
        return asyncio.run(work(pod, plan, [int(index)]))


def finalize_stage(pod: Pod) -> Exit:
    """Write the outputs, unless an earlier pod did; a batch that ended before it was planned is planned now."""
    pod.troubles.is_patient, pod.troubles.limit_s = True, _FINALIZE_WAITS_S
    with pod.watching():
        summary = _written_before(pod)
        _finalize(pod, None if summary is not None else _plan_if_need_be(pod), summary)
    return Exit.SUCCEEDED


def run_stage(pod: Pod) -> Exit:
    """All of it, for a small batch."""
    if (summary := _written_before(pod)) is not None:  # the plan may be gone, and nothing is asked again
        _finalize(pod, None, summary)
        return Exit.SUCCEEDED
    with pod.watching():
        plan = _plan_if_need_be(pod)
    with pod.telling.shard(0):
        code = asyncio.run(work(pod, plan, range(len(plan.shards))))
    pod.halt.check()
    if code is Exit.SUCCEEDED:
        pod.troubles.limit_s = _FINALIZE_WAITS_S
        with pod.watching():
            _finalize(pod, plan)
    return code


def clean_stage(pod: Pod) -> Exit:
    """Remove what a deleted batch has left."""
    log.info("removed %d working objects", housekeeping.clean_up(pod.config, pod.stores, pod.halt.check))
    return Exit.SUCCEEDED


def _finalize(pod: Pod, plan: Plan | None, summary: dict[str, Any] | None = None) -> None:
    """Write the outputs of a plan, unless an earlier pod did, which left this summary; then clear up."""
    with pod.telling.stage(SpanName.FINALIZE) as told:
        if summary is None:
            assert plan is not None
            summary = _write_patiently(pod, plan)
        pod.notes.final = counts = final_counts(summary)
        told[names.ITEMS] = counts.items
        told[names.ITEMS_SUCCEEDED] = counts.succeeded
        told[names.ITEMS_FAILED] = counts.failed
        told[names.ITEMS_CANCELLED] = counts.cancelled
        told[names.ATTEMPTS] = counts.attempts
    pod.troubles.is_patient = False
    housekeeping.leave_nothing(pod.config, pod.stores)


def _written_before(pod: Pod) -> dict[str, Any] | None:
    """The summary, if an earlier pod wrote it."""
    import orjson

    from llmbatch_worker.finalizing.names import SUMMARY_NAME

    if not pod.output.exists(SUMMARY_NAME):
        return None
    try:
        summary: dict[str, Any] = orjson.loads(pod.output.read(SUMMARY_NAME))
        return summary if summary["uid"] == pod.config.uid else None
    except (orjson.JSONDecodeError, KeyError, TypeError):  # somebody else's
        return None


def _write_patiently(pod: Pod, plan: Plan) -> dict[str, Any]:
    """A store that refuses or is full in the middle of an object: outputs are written anew when it takes them again."""
    for _ in range(_WRITES_AGAIN):
        try:
            return _write_outputs(pod, plan)
        except (StoreDeniedError, StoreFullError) as error:
            log.warning("the outputs are written again: %s", error)
        # A small write, which waits and is told of.
        housekeeping.take_place(pod.config, pod.stores, pod.troubles, pod.halt.check)
    return _write_outputs(pod, plan)


def _write_outputs(pod: Pod, plan: Plan) -> dict[str, Any]:
    from llmbatch_worker.finalizing.delivery import Way
    from llmbatch_worker.finalizing.finalizer import finalize

    summary = finalize(
        pod.config.job,
        plan,
        stop=pod.stop,
        now=_now(),
        stores=pod.stores,
        on_items=lambda _items: pod.halt.check(),
        delivery=Way(pod.setting.signing_key, pod.halt.check, pod.troubles.waiting_for),
    )
    log.info("finalized: %s", summary["phase"])
    return summary


def _now() -> str:
    return utc(time.time())
