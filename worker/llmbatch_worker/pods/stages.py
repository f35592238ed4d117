"""The stages of a batch, each as one pod does it; every one may be started again after a pod died.

Each takes a Pod, notes what it learns, and returns how it ended. What a stage does not need it does not import: a pod
shall be at work a second after its start.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pydantic

from llmbatch_contract import layout
from llmbatch_contract.errors import ClaimLostError, InvalidError, StateMismatchError
from llmbatch_contract.exits import Exit
from llmbatch_contract.plan import Plan
from llmbatch_contract.pods import PodConfig
from llmbatch_contract.reports import StopReason
from llmbatch_telemetry import names
from llmbatch_telemetry.names import SpanName
from llmbatch_telemetry.spans import Value
from llmbatch_worker.channel import Channel
from llmbatch_worker.pods.canary import Stopwatch, canary_counts, first_items
from llmbatch_worker.pods.halting import Halt
from llmbatch_worker.pods.journal import Journal, log
from llmbatch_worker.pods.setting import Setting
from llmbatch_worker.pods.telling import Telling
from llmbatch_worker.pods.words import Notes, facts_of, final_counts
from llmbatch_worker.stores.protocol import Store, Stores
from llmbatch_worker.work import utc

if TYPE_CHECKING:
    from llmbatch_worker.engine import Ended

_DRAIN_S = 5.0
_GIVE_UP_S = 15.0
"""After SIGTERM, how long the store is waited for; Kubernetes kills after 30 s."""


@dataclass
class Pod:
    """What a stage works with."""

    setting: Setting
    config: PodConfig
    stop: StopReason | None
    """Why the batch ended early."""
    channel: Channel
    stores: Stores
    halt: Halt
    telling: Telling
    notes: Notes = field(default_factory=Notes)

    @property
    def working(self) -> Store:
        """The store of working objects."""
        return self.stores.open(self.config.job.store_uri)


def plan_stage(pod: Pod) -> Exit:
    """Plan, unless an earlier pod did."""
    with pod.telling.stage(SpanName.PLAN) as told:
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
    try:
        return _make_plan(pod)
    except ClaimLostError:  # another pod was quicker; its plan is as good
        return _planned_before(pod)


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
    canary = pod.config.job.batch.spec.canary
    with pod.telling.shard(0):
        plan = _planned_before(pod)
        first = first_items(plan.shards, canary.items if canary is not None else 0)
        return asyncio.run(_work(pod, plan, first, first))


def shard_stage(pod: Pod) -> Exit:
    """Work on the shard whose number is the pod's index."""
    index = pod.setting.index
    if not index.isdecimal():
        raise InvalidError(f"JOB_COMPLETION_INDEX is {index!r}, which is no number")
    with pod.telling.shard(int(index)):
        plan = _planned_before(pod)
        if int(index) >= len(plan.shards):
            raise InvalidError(f"JOB_COMPLETION_INDEX is {index!r}, which is none of {len(plan.shards)} shards")
        return asyncio.run(_work(pod, plan, [int(index)]))


def finalize_stage(pod: Pod) -> Exit:
    """Write the outputs, unless an earlier pod did; a batch that ended before it was planned is planned now."""
    _finalize(pod, _plan_if_need_be(pod))
    return Exit.SUCCEEDED


def run_stage(pod: Pod) -> Exit:
    """All of it, for a small batch."""
    plan = _plan_if_need_be(pod)
    with pod.telling.shard(0):
        code = asyncio.run(_work(pod, plan, range(len(plan.shards))))
    pod.halt.check()
    if code is Exit.SUCCEEDED:
        _finalize(pod, plan)
    return code


async def _work(pod: Pod, plan: Plan, shards: Iterable[int], first: Mapping[int, int] | None = None) -> Exit:
    """Work on shards until they are done, or there is a reason to leave; of those in `first`, on so many items."""
    from llmbatch_worker.engine import Engine
    from llmbatch_worker.pods.link import HttpsLink

    numbers, loop = list(shards), asyncio.get_running_loop()
    journal, stopwatch = Journal(pod.telling.stages), Stopwatch()
    link = HttpsLink(pod.channel, facts_of(plan), numbers, lambda: engine.interrupt())
    pod_name = pod.setting.place.pod
    engine = Engine(
        pod.config.job, plan, link,
        worker=pod_name, stores=pod.stores, listeners=(journal, pod.telling, *([] if first is None else [stopwatch])),
        telemetry=pod.telling.telemetry, process=pod_name, first=first, waits_for_endpoint=True,
    )  # fmt: skip

    def leave() -> None:
        pod.channel.patience.end_in(_GIVE_UP_S)
        engine.interrupt(_DRAIN_S)

    try:
        with pod.halt.telling(lambda: loop.call_soon_threadsafe(leave)):
            ended = await engine.run()
    finally:
        pod.notes.progress = journal.progress if len(numbers) == 1 else None
    pod.notes.stop = ended.stop
    if first is None:
        return _code(ended, is_done=journal.done.issuperset(numbers))
    if ended.is_finished:
        pod.notes.canary = canary_counts((journal.of(number) for number in numbers), stopwatch.per_minute)
    return _code(ended, is_done=ended.is_finished)


def _code(ended: "Ended", *, is_done: bool) -> Exit:
    """How work ended; shards that are done are done, whatever else happened at the end."""
    if is_done:
        return Exit.SUCCEEDED
    if ended.stop is not None or ended.told_to_stop:
        log.warning("stopped: %s", ended.stop.category if ended.stop is not None else "the batch stops")
        return Exit.STOPPED
    log.info("told to end: what was answered is written down")
    return Exit.INTERRUPTED


def _finalize(pod: Pod, plan: Plan) -> None:
    with pod.telling.stage(SpanName.FINALIZE) as told:
        pod.notes.final = counts = final_counts(_summary(pod, plan))
        told[names.ITEMS] = counts.items
        told[names.ITEMS_SUCCEEDED] = counts.succeeded
        told[names.ITEMS_FAILED] = counts.failed
        told[names.ITEMS_CANCELLED] = counts.cancelled
        told[names.ATTEMPTS] = counts.attempts


def _summary(pod: Pod, plan: Plan) -> dict[str, Any]:
    """The summary, as an earlier pod wrote it or as this one does."""
    import orjson

    from llmbatch_worker.finalizing.finalizer import SUMMARY_NAME, finalize

    output = pod.stores.open(pod.config.job.output_uri)
    if output.exists(SUMMARY_NAME):
        summary: dict[str, Any] = orjson.loads(output.read(SUMMARY_NAME))
        if summary["uid"] == plan.uid:
            return summary
    summary = finalize(
        pod.config.job,
        plan,
        stop=pod.stop,
        now=_now(),
        stores=pod.stores,
        on_items=lambda _items: pod.halt.check(),
    )
    log.info("finalized: %s", summary["phase"])
    return summary


def _now() -> str:
    return utc(time.time())
