"""Asks about the items of some shards, and turns the way in which that ended into an exit code. Called by stages."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from llmbatch_contract.exits import Exit
from llmbatch_contract.plan import Plan
from llmbatch_worker.pods.canary import Stopwatch, canary_counts
from llmbatch_worker.pods.journal import Journal, log
from llmbatch_worker.pods.pod import Pod
from llmbatch_worker.pods.words import facts_of

if TYPE_CHECKING:
    from llmbatch_worker.engine import Ended

_DRAIN_S = 5.0
_GIVE_UP_S = 15.0
"""After SIGTERM, how long the store is waited for; Kubernetes kills after 30 s."""


async def work(pod: Pod, plan: Plan, shards: Iterable[int], first: Mapping[int, int] | None = None) -> Exit:
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
        telemetry=pod.telling.telemetry, process=pod_name, first=first, waits_for_endpoint=True, troubles=pod.troubles,
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
