"""Runs shards: puts the parts of a worker together, and takes them apart in order when it ends.

Called by `llmbatch run` in its own process, and by `llmbatch-worker` in others.
"""

import asyncio
import gc
import time
from dataclasses import dataclass

from llmbatch_contract import __version__
from llmbatch_contract.categories import Category
from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan
from llmbatch_contract.reports import StopReason
from llmbatch_contract.spec import OutputFormat
from llmbatch_worker.asking import Asker
from llmbatch_worker.client import Client
from llmbatch_worker.events import Emit, EventStream
from llmbatch_worker.feed import Feed
from llmbatch_worker.inputs.reading import PlannedItems
from llmbatch_worker.judging import Judge
from llmbatch_worker.limits.gate import Gate
from llmbatch_worker.link import Conversation, Link
from llmbatch_worker.pool import Pool
from llmbatch_worker.progress_keeper import ProgressKeeper
from llmbatch_worker.recorder import Recorder
from llmbatch_worker.store import Store
from llmbatch_worker.work import RecordForm, utc


@dataclass(frozen=True)
class Ended:
    """How a worker ended."""

    stop: StopReason | None
    """It stopped before its end, for this reason."""
    interrupted: bool
    """It was told to stop from outside."""


class Engine:
    """One worker. Make it inside a running event loop."""

    def __init__(self, job: Job, plan: Plan, link: Link, *, worker: str, listeners: tuple[Emit, ...] = ()) -> None:
        spec = job.batch.spec
        store = Store(job.store_uri)
        keeper = ProgressKeeper()
        emit = EventStream(keeper, *listeners)
        wake = asyncio.Event()
        gate = Gate(None if spec.concurrency == "auto" else spec.concurrency, time.monotonic)
        gate.pause(True)  # until the first reply says how much may be sent
        items = PlannedItems(plan.input, spec.input.id_field, store)
        self._feed = Feed(
            plan, items, store,
            worker=worker, now=lambda: utc(time.time()), next_shard=link.next_shard, emit=emit, wake=wake.set,
        )  # fmt: skip
        self._client = Client(spec.endpoint, spec.request_timeout_seconds, __version__)
        self._recorder = Recorder(self._feed.logs, keeper, emit)
        form = RecordForm(spec.output.include_input, spec.output.format is OutputFormat.OPENAI)
        asker = Asker(spec, plan.input.format)
        judge = Judge(spec, form, asker.schema, gate, self._recorder, keeper, emit)
        self._pool = Pool(
            plan.uid, asker, self._client, gate, self._feed, judge, wake,
            on_stop=lambda reason: self._conversation.report_stop(reason),
        )  # fmt: skip
        self._conversation = Conversation(
            link, worker, gate, keeper, self._pool.waiting, self._pool.demand, self._told_to_stop
        )
        self._work: asyncio.Task[None] | None = None
        self._interrupted = False

    async def run(self) -> Ended:
        """Work until there are no more shards, or until stopped. Raises LLMBatchError."""
        _collect_garbage_less_often()
        async with self._client:
            self._work = asyncio.create_task(self._pool.run())
            recording = asyncio.create_task(self._recorder.run())
            talking = asyncio.create_task(self._conversation.run())
            try:
                await self._until_done(recording, talking)
            finally:
                await _cancel(self._work, talking)
                self._recorder.close()
                await recording
                await self._leave()
        return Ended(self._pool.stop, self._interrupted)

    def interrupt(self) -> None:
        """End at once: abort what is in flight, write down what is done. Safe to call from a signal handler."""
        self._interrupted = True
        if self._work is not None:
            self._work.cancel()

    def _told_to_stop(self) -> None:
        self._pool.stop_sending(StopReason(category=Category.CANCELLED, message="the batch is stopped"))

    async def _until_done(self, *side: asyncio.Task[None]) -> None:
        assert self._work is not None
        while not self._work.done():
            done, _ = await asyncio.wait([self._work, *side], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {self._work}:
                task.result()  # these end only by an error
        if not self._work.cancelled():
            self._work.result()

    async def _leave(self) -> None:
        """Leave the shards so that the next attempt knows what was sent, and say goodbye."""
        for number, log in self._feed.logs.items():
            await asyncio.to_thread(log.stop, self._feed.unsent_from(number))
        await self._conversation.talk(leaving=True)


def _collect_garbage_less_often() -> None:
    """Each request makes a hundred short-lived objects, none of them in a cycle; looking through them is in vain."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
