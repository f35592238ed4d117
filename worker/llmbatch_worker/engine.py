"""Runs shards: puts the parts of a worker together, and takes them apart in order when it ends.

Called by `llmbatch run` in its own process, and by `llmbatch-worker` in others and in pods.
"""

import asyncio
import gc
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from llmbatch_contract import __version__
from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan
from llmbatch_contract.reports import StopReason, StoreTrouble
from llmbatch_contract.spec import OutputFormat
from llmbatch_telemetry.telemetry import Telemetry, no_telemetry
from llmbatch_worker.asking import Asker
from llmbatch_worker.client import Client
from llmbatch_worker.events import Emit, EventStream, Heard, PartWritten
from llmbatch_worker.feed import Feed
from llmbatch_worker.inputs.reading import PlannedItems
from llmbatch_worker.judging import Judge
from llmbatch_worker.limits.clock import steady_s
from llmbatch_worker.limits.gate import Gate
from llmbatch_worker.link import Conversation, Link
from llmbatch_worker.observing.gauges import Gauges
from llmbatch_worker.observing.observer import Observer
from llmbatch_worker.pool import Pool
from llmbatch_worker.progress_keeper import ProgressKeeper
from llmbatch_worker.recorder import Recorder
from llmbatch_worker.stores.local import LOCAL
from llmbatch_worker.stores.measured import measured
from llmbatch_worker.stores.protocol import Stores
from llmbatch_worker.work import RecordForm, utc

_STORE_GIVES_UP_S = 15.0
"""Once the worker is told to end, how long a store that is away is waited for; Kubernetes kills after 30 s."""


class StoreTroubles(Protocol):
    """What stores wait for."""

    def now(self) -> StoreTrouble | None:
        """What a store waits for at the moment, if anything."""

    def end_in(self, seconds: float) -> None:
        """Wait no longer than so many seconds; from any thread."""


@dataclass(frozen=True)
class Ended:
    """How a worker ended."""

    stop: StopReason | None
    """It has seen a failure on which the batch stops."""
    told_to_stop: bool
    """The coordinator said that the batch stops."""
    interrupted: bool
    """It was told to end from outside."""

    @property
    def is_finished(self) -> bool:
        """It has asked all that it was to ask."""
        return self.stop is None and not self.told_to_stop and not self.interrupted


class Engine:
    """One worker. Make it inside a running event loop."""

    def __init__(
        self,
        job: Job,
        plan: Plan,
        link: Link,
        *,
        worker: str,
        stores: Stores = LOCAL,
        listeners: tuple[Emit, ...] = (),
        telemetry: Telemetry | None = None,
        process: str = "",
        first: Mapping[int, int] | None = None,
        waits_for_endpoint: bool = False,
        troubles: StoreTroubles | None = None,
    ) -> None:
        """`process` is what makes the spans of this process its own, by default something random.

        Of shards in `first`, only so many items are asked, and they are left unfinished.
        `waits_for_endpoint`: an endpoint that was never reached may still come; else that stops the batch.
        `troubles` are those of the stores, where these wait for better times.
        """
        telemetry = telemetry or no_telemetry()
        spec = job.batch.spec
        stores = measured(stores, telemetry.meters)
        store = stores.open(job.store_uri)
        self._keeper = keeper = ProgressKeeper()
        asker = Asker(spec, plan.input.format)
        self._observer = observer = Observer(job, plan, asker, telemetry, process or f"{worker}-{uuid.uuid4()}")
        link = observer.timed(link)
        self._troubles = troubles
        on_part: Heard = {PartWritten: lambda _: self._part_written()}
        emit = EventStream(keeper.heard, *observer.listeners, *listeners, on_part)
        wake = asyncio.Event()
        endpoint, concurrency = spec.endpoint, None if spec.concurrency == "auto" else spec.concurrency
        self._gate = gate = Gate(concurrency, steady_s, limits=endpoint.limits, pricing=endpoint.pricing)
        gate.on_news = lambda: self._conversation.report_soon()
        gate.pause(True)  # until the first reply says how much may be sent
        items = PlannedItems(plan.input, spec.input.id_field, store, stores)
        self._feed = Feed(
            plan, items, store,
            worker=worker, now=lambda: utc(time.time()), next_shard=link.next_shard, emit=emit, wake=wake.set,
            on_handed_out=lambda: self._recorder.look_soon(), first=first,
        )  # fmt: skip
        self._client = Client(spec.endpoint, spec.request_timeout_seconds, __version__)
        self._recorder = Recorder(self._feed.logs, keeper, emit, observer.before_part, store.cadence)
        form = RecordForm(spec.output.include_input, spec.output.format is OutputFormat.OPENAI, plan.trace.trace_id)
        judge = Judge(spec, form, asker.schema, gate, self._recorder, keeper, emit, waits_for_endpoint)
        self._pool = Pool(
            plan.uid, plan.trace.trace_id, asker, self._client, gate, self._feed, judge, wake,
            on_stop=lambda reason: self._conversation.report_stop(reason), on_landed=self._come_to_rest,
            is_held=lambda: self._recorder.is_full, store_is_away=lambda: self._store_trouble() is not None,
            new_span_id=observer.new_span_id,
        )  # fmt: skip
        self._conversation = Conversation(
            link, worker, gate, keeper, self._pool.waiting, self._pool.demand,
            on_stop=self._stop_as_told, on_pause=self._come_to_rest, waits_for_endpoint=waits_for_endpoint,
            store_trouble=self._store_trouble,
        )  # fmt: skip
        self._gauges = Gauges(telemetry.meters, gate, self._feed, self._pool, keeper)
        self._work: asyncio.Task[None] | None = None
        self._leaves_shards = first is not None
        self._told_to_stop = self._interrupted = self._aborted = False

    async def run(self) -> Ended:
        """Work until there are no more shards, or until stopped. Raises LLMBatchError."""
        _collect_garbage_less_often()
        with self._observer.watching(self._gauges, self._how_it_ended):
            return await self._run()

    async def _run(self) -> Ended:
        async with self._client:
            self._work = asyncio.create_task(self._pool.run())
            if self._aborted:
                self._work.cancel()
            recording = asyncio.create_task(self._recorder.run())
            talking = asyncio.create_task(self._conversation.run())
            try:
                await self._until_done(recording, talking)
            finally:
                await _cancel(self._work)
                self._recorder.close()
                try:  # a store that is away may take long, and is told of meanwhile
                    await recording
                    await self._leave_shards()
                finally:
                    await _cancel(talking)
                    await self._conversation.talk(leaving=True)
        return Ended(self._pool.stop, self._told_to_stop, self._interrupted)

    def interrupt(self, drain_s: float = 0.0) -> None:
        """End: send nothing new, abort what is in flight after `drain_s`, write down what is done.

        To be called in the event loop, at any time, also again.
        """
        self._interrupted = True
        if self._troubles is not None:
            self._troubles.end_in(_STORE_GIVES_UP_S)
        self._pool.stop_sending(drain_s)
        if drain_s <= 0:
            self._aborted = True
            if self._work is not None:
                self._work.cancel()

    def _how_it_ended(self) -> str:
        if self._pool.stop is not None:
            return self._pool.stop.category.value
        if self._leaves_shards and not (self._told_to_stop or self._interrupted):
            return ""
        return "stopped" if self._told_to_stop else "interrupted"

    def _stop_as_told(self) -> None:
        self._told_to_stop = True
        self._pool.stop_sending()

    def _store_trouble(self) -> StoreTrouble | None:
        return None if self._troubles is None else self._troubles.now()

    def _part_written(self) -> None:
        self._pool.wake.set()
        self._come_to_rest()

    def _come_to_rest(self) -> None:
        """While paused: as soon as nothing is in flight, write everything down and then say so."""
        if not self._gate.is_at_rest:
            return
        if self._keeper.has_unwritten:
            self._recorder.write_soon()
        else:
            self._conversation.report_soon()

    async def _until_done(self, *side: asyncio.Task[None]) -> None:
        assert self._work is not None
        while not self._work.done():
            done, _ = await asyncio.wait([self._work, *side], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {self._work}:
                task.result()  # these end only by an error
        if not self._work.cancelled():
            self._work.result()

    async def _leave_shards(self) -> None:
        """So that the next attempt knows what was sent."""
        for number, log in self._feed.logs.items():
            await asyncio.to_thread(log.stop, self._feed.unsent_from(number))


def _collect_garbage_less_often() -> None:
    """Each request makes a hundred short-lived objects, none of them in a cycle; looking through them is in vain."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
