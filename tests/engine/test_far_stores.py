"""Stores that are far away: how often they are asked, and what happens while they do not answer."""

import asyncio
import itertools
import math
from collections import deque
from typing import Any

import pytest

from engine.far_store import FarStores
from engine.hand_plan import NOW, hand_plan
from engine.simulated_time import in_simulated_time
from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan
from llmbatch_worker.events import Event, ItemDone, PartWritten, ShardDone
from llmbatch_worker.feed import LEAST_WINDOW, MOST_WINDOW, Feed
from llmbatch_worker.finalizing.finalizer import finalize
from llmbatch_worker.inputs.reading import PlannedItems
from llmbatch_worker.progress_keeper import ProgressKeeper
from llmbatch_worker.recorder import Recorder, due_in_s
from llmbatch_worker.shardlog import PART_BYTES, ShardLog, open_shard
from llmbatch_worker.stores.protocol import CLOUD_CADENCE
from llmbatch_worker.waiting import wait_for_event
from sharded import as_record, result

IN_FLIGHT = 16


@pytest.mark.parametrize(
    ("records", "size", "waited_s", "is_last", "due_s"),
    [
        pytest.param(0, 0, 100.0, True, math.inf, id="nothing waits"),
        pytest.param(1, 100, 0.0, True, 0.0, id="the shard ends"),
        pytest.param(1, PART_BYTES, 0.0, False, 0.0, id="a part is full"),
        pytest.param(49, 100, 4.0, False, 6.0, id="few records wait longer"),
        pytest.param(50, 100, 4.0, False, 1.0, id="many records wait shorter"),
    ],
)
def test_a_part_is_written_when_it_is_worth_a_request(
    records: int, size: int, waited_s: float, is_last: bool, due_s: float
) -> None:
    due = due_in_s(CLOUD_CADENCE, records=records, size=size, waited_s=waited_s, is_last=is_last)
    assert due == due_s


class Worker:
    """Feed and recorder of a worker, and an endpoint that takes its time; on a simulated clock."""

    def __init__(self, far: FarStores, plan: Plan, job: Job, latency_s: float) -> None:
        self.plan, self.job, self.latency_s = plan, job, latency_s
        self.done: list[int] = []
        self._all_done = asyncio.Event()
        self.longest_wait_s = 0.0
        self._waiting: deque[tuple[int, float]] = deque()
        store = far.open(job.store_uri)
        self.keeper, self.wake = ProgressKeeper(), asyncio.Event()
        self.shards = deque(range(len(plan.shards)))
        self.feed = Feed(
            plan, PlannedItems(plan.input, None, store, far), store,
            worker="w", now=lambda: NOW, next_shard=self._next_shard, emit=self._heard, wake=self.wake.set,
            on_handed_out=lambda: self.recorder.look_soon(),
        )  # fmt: skip
        self.recorder = Recorder(self.feed.logs, self.keeper, self._heard, cadence=store.cadence)

    async def _next_shard(self) -> int | None:
        return self.shards.popleft() if self.shards else None

    def _heard(self, event: Event) -> None:
        self.keeper(event)
        now = asyncio.get_running_loop().time()
        match event:
            case ItemDone(shard):
                self._waiting.append((shard, now))
            case PartWritten(shard):
                self.longest_wait_s = max(now - at for number, at in self._waiting if number == shard)
                self._waiting = deque(each for each in self._waiting if each[0] != shard)
            case ShardDone(shard):
                self.done.append(shard)
                if len(self.done) == len(self.plan.shards):
                    self._all_done.set()

    async def run(self) -> None:
        recording = asyncio.create_task(self.recorder.run())
        await asyncio.gather(*(self._ask() for _ in range(IN_FLIGHT)))
        await self._all_done.wait()
        self.recorder.close()
        await recording

    async def _ask(self) -> None:
        per_s = int(IN_FLIGHT / self.latency_s)
        self.feed.window = max(LEAST_WINDOW, min(per_s, MOST_WINDOW))
        while not self.feed.is_exhausted:
            self.wake.clear()
            if (work := self.feed.take()) is None:
                await wait_for_event(self.wake, 0.01)
                continue
            await asyncio.sleep(self.latency_s * (0.5 + work.number * 7919 % 1000 / 1000))
            self.recorder.add(work, as_record(result(work.number, id=work.item_id)))


def worked_on(far: FarStores, items: int, latency_s: float, **fields: Any) -> Worker:
    """All shards, done."""
    plan, job = hand_plan(far, [{"text": f"{n} " + "x" * 1000} for n in range(items)], **fields)
    far.requests.clear()

    async def work() -> Worker:
        worker = Worker(far, plan, job, latency_s)
        await worker.run()
        return worker

    return in_simulated_time(work())[1]


@pytest.mark.parametrize("latency_s", [0.01, 0.2, 1.0])
def test_a_cloud_is_asked_less_than_once_for_twenty_items(latency_s: float) -> None:
    """By workers and by finalize."""
    far = FarStores()
    worker = worked_on(far, 3000, latency_s, shard_size=1000)
    assert worker.done == [0, 1, 2]
    finalize(worker.job, worker.plan, stop=None, now=NOW, stores=far)
    assert far.requests.total() / 3000 < 0.05, far.requests


@pytest.mark.parametrize("latency_s", [1.0, 30.0])
def test_no_answer_waits_longer_than_promised_to_be_written_down(latency_s: float) -> None:
    worker = worked_on(FarStores(), 1000, latency_s, shard_size=1000)
    assert worker.longest_wait_s <= CLOUD_CADENCE.at_most_s + 0.01


def test_a_shard_that_nobody_began_is_opened_by_one_request() -> None:
    far = FarStores()
    plan, job = hand_plan(far, [{"text": "a"}], shard_size=1)
    far.requests.clear()
    assert isinstance(open_shard(far.open(job.store_uri), plan.shards[0], "w", NOW), ShardLog)
    assert far.requests == {"put": 1}


def marks_of(far: FarStores) -> list[int]:
    """Positions of all marks, in order."""
    found = (name.rpartition("/sent-0001-") for name in far.objects)
    return sorted(int(position) for _, is_mark, position in found if is_mark)


def test_a_mark_covers_as_many_items_as_the_store_wants() -> None:
    far = FarStores()
    worked_on(far, 1000, 1.0, shard_size=1000)
    marks = marks_of(far)
    assert marks[-1] == 1000
    assert all(after - before >= 100 for before, after in itertools.pairwise([0, *marks[:-1]]))


def test_marks_pass_over_items_that_have_a_record() -> None:
    far = FarStores()
    plan, job = hand_plan(far, [{"text": f"{n}"} for n in range(1000)], shard_size=1000)
    opened = open_shard(far.open(job.store_uri), plan.shards[0], "w", NOW)
    assert isinstance(opened, ShardLog)
    for number in range(900):
        opened.add(as_record(result(number)))
    while (taken := opened.take()) is not None:
        opened.write_part(taken)
    far.requests.clear()

    async def work() -> None:
        await Worker(far, plan, job, 1.0).run()

    in_simulated_time(work())
    assert len([name for name in far.objects if "/sent-0002-" in name]) == 1
