"""Items of a megabyte: what a worker holds of them is bounded in bytes."""

import asyncio
import time
from typing import Any

from aiohttp import web

from engine.far_store import FarStores
from engine.hand_plan import NOW, hand_plan
from engine.own_endpoint import chat_answer, serving
from engine.own_engines import OwnWorkers
from llmbatch_contract import layout
from llmbatch_contract.sharing import EndpointShares
from llmbatch_contract.spec import Limits
from llmbatch_worker.feed import READ_AHEAD_BYTES, Feed
from llmbatch_worker.inputs.reading import PlannedItems
from llmbatch_worker.shardlog import PART_BYTES, ShardLog, open_shard, read_part
from sharded import as_record, result

ITEM_BYTES = 1_000_000


def items(count: int) -> list[dict[str, Any]]:
    return [{"text": f"{n} " + "x" * ITEM_BYTES} for n in range(count)]


async def test_reading_ahead_is_bounded_in_bytes() -> None:
    far = FarStores()
    plan, job = hand_plan(far, items(30), shard_size=30)
    store = far.open(job.store_uri)
    shards, is_new = iter([0]), asyncio.Event()

    async def next_shard() -> int | None:
        return next(shards, None)

    feed = Feed(
        plan, PlannedItems(plan.input, None, store, far), store,
        worker="w", now=lambda: NOW, next_shard=next_shard, emit=lambda _: None, wake=is_new.set,
    )  # fmt: skip
    feed.window = 2000
    taken, most = [], 0
    async with asyncio.timeout(20):
        while not feed.is_exhausted:
            is_new.clear()
            if (work := feed.take()) is None:
                await is_new.wait()
            else:
                taken.append(work.number)
            most = max(most, feed.read_ahead)
    assert taken == list(range(30))
    assert most * ITEM_BYTES <= 1.5 * READ_AHEAD_BYTES + ITEM_BYTES


async def test_requests_in_flight_are_bounded_in_bytes() -> None:
    in_flight, most = 0, 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await request.read()
        await asyncio.sleep(0.1)
        in_flight -= 1
        return chat_answer(usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2})

    async with serving(answer) as url:
        far = FarStores()
        plan, job = hand_plan(far, items(60), shard_size=60, url=url, concurrency=60)
        batch = OwnWorkers(job, plan, EndpointShares(Limits(), time.monotonic()), stores=far)
        assert (await batch.run()).is_finished
    assert 8 <= most <= 17
    assert f"{job.store_uri}/{layout.done(0)}" in far.objects


def test_many_large_records_become_several_parts() -> None:
    far = FarStores()
    plan, job = hand_plan(far, [{"text": "a"}] * 10, shard_size=10)
    log = open_shard(far.open(job.store_uri), plan.shards[0], "w", NOW)
    assert isinstance(log, ShardLog)
    for number in range(10):
        log.add(as_record(result(number, output="x" * ITEM_BYTES)))
    sizes, records = [], []
    while (taken := log.take()) is not None:
        sizes.append(taken.size)
        part = log.write_part(taken)
        records += read_part(far.open(job.store_uri), plan.shards[0], (1, part))
    assert len(sizes) == 2
    assert max(sizes) <= PART_BYTES + ITEM_BYTES + 1000
    assert [record["index"] for record in records] == list(range(10))
    assert (log.waiting_records, log.buffered_bytes) == (0, 0)
