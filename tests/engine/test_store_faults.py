"""A real S3 server that fails in every way that stores do, and workers that are killed: nothing is lost."""

import asyncio
import contextlib
import random
from collections.abc import Callable

import pytest

from builders import Document
from engine.local_run import texts, until
from engine.s3_batch import QUICK, S3Batch
from fault_proxy import (
    Fault,
    FaultProxy,
    access_denied,
    cut,
    expired_token,
    hang,
    internal_error,
    lost_answer,
    reset,
    slow,
    slow_down,
)
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from llmbatch_contract.errors import ClaimLostError
from llmbatch_worker.stores import cloud
from llmbatch_worker.stores.protocol import Cadence
from s3_servers import Bucket

pytest_plugins = ["s3_fixture"]

Proxied = Callable[[Bucket], FaultProxy]

ITEMS = 300
ALWAYS = float("inf")


@pytest.fixture(autouse=True)
def quick_cadence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "CLOUD_CADENCE", QUICK)


def check(batch: S3Batch, summary: Document, *, resent: range = range(1)) -> None:
    """Every item has exactly one result, in order, and repeats are counted."""
    assert summary["items"]["succeeded"] == len(batch.items)
    assert [record["index"] for record in batch.records()] == list(range(len(batch.items)))
    assert batch.bucket.get("out/errors.jsonl") == b""
    assert summary["resent_items"] in resent
    assert batch.bucket.uploads() == []


def spoiled(proxy: FaultProxy) -> int:
    """How many requests did not get the answer that the server gave, or would have given."""
    return sum(min(rule.times, max(0, rule.seen - rule.after)) for rule in proxy._rules)  # type: ignore[misc]


async def finalized(batch: S3Batch, through: Bucket | None = None) -> Document:
    return await asyncio.to_thread(batch.finalize, through)


@pytest.mark.parametrize(
    ("fault", "methods"),
    [
        pytest.param(internal_error(), ["PUT", "GET", "HEAD"], id="500"),
        pytest.param(slow_down(), ["PUT", "GET", "HEAD"], id="503 SlowDown"),
        pytest.param(reset(), ["PUT", "GET", "HEAD"], id="connections are reset"),
        pytest.param(access_denied(), ["PUT", "GET"], id="refused for a while"),
        pytest.param(expired_token(), ["PUT", "GET"], id="expired for a while"),
        pytest.param(lost_answer(), ["PUT"], id="answers are lost"),
        pytest.param(cut(700), ["GET"], id="answers break off"),
        pytest.param(hang(30), ["PUT", "GET"], id="no answer"),
    ],
)
async def test_a_store_that_fails_now_and_then_costs_nothing_but_time(
    versitygw: Bucket, fault_proxy: Proxied, fault: Fault, methods: list[str]
) -> None:
    async with Simulator(SimulatorSettings.parse({"latency": "10ms"})) as sim:
        batch = S3Batch(versitygw, texts(ITEMS), url=sim.url)
        proxy = fault_proxy(versitygw)
        for method in methods:
            for key in ("*/claim-*", "*/sent-*", "*/part-*", "*/done.json", "items.jsonl"):
                proxy.add(fault, method=method, key=key, after=1)
        workers, _ = batch.workers(proxy.bucket)
        assert (await workers.run()).is_finished
        assert spoiled(proxy) >= len(methods)
        assert sim.stats.requests == ITEMS
        check(batch, await finalized(batch))
        assert batch.written() == list(range(ITEMS))


async def test_every_third_request_fails_in_some_way_and_nothing_is_lost(
    versitygw: Bucket, fault_proxy: Proxied
) -> None:
    chance = random.Random(5)
    async with Simulator(SimulatorSettings.parse({"latency": "10ms"})) as sim:
        batch = S3Batch(versitygw, texts(ITEMS), url=sim.url)
        proxy = fault_proxy(versitygw)
        for after in range(0, 120, 3):
            faults = [internal_error(), slow_down(), reset(), lost_answer(), cut(100)]
            proxy.add(chance.choice(faults), after=after)
        workers, _ = batch.workers(proxy.bucket)
        assert (await workers.run()).is_finished
        assert sim.stats.requests == ITEMS
        check(batch, await finalized(batch, proxy.bucket))
        assert spoiled(proxy) >= 12


async def test_credentials_that_expire_in_the_middle_are_told_of_and_renewed_ones_heal_the_run(
    moto_s3: Bucket, fault_proxy: Proxied
) -> None:
    async with Simulator(SimulatorSettings.parse({"latency": "10ms"})) as sim:
        batch = S3Batch(moto_s3, texts(ITEMS), url=sim.url)
        proxy = fault_proxy(moto_s3)
        workers, stores = batch.workers(proxy.bucket)
        running = asyncio.create_task(workers.run())
        await until(lambda: sim.stats.requests >= 50)
        proxy.keys = {"NEWKEY"}
        await until(lambda: workers.links["pod-0"].report.store_trouble is not None)  # type: ignore[union-attr]
        trouble = stores.troubles.now()
        assert trouble is not None
        assert trouble.kind == "denied"
        assert not [key for key in moto_s3.keys.values() if key in trouble.message]
        assert sim.stats.requests < ITEMS
        moto_s3.keys["AWS_ACCESS_KEY_ID"] = "NEWKEY"  # the Secret was renewed
        assert (await running).is_finished
        assert sim.stats.requests == ITEMS
        check(batch, await finalized(batch))


async def test_a_store_that_is_down_for_a_while_stops_the_sending_and_nothing_is_sent_twice(
    versitygw: Bucket, fault_proxy: Proxied
) -> None:
    async with Simulator(SimulatorSettings.parse({"latency": "10ms"})) as sim:
        batch = S3Batch(versitygw, texts(ITEMS), url=sim.url)
        proxy = fault_proxy(versitygw)
        workers, stores = batch.workers(proxy.bucket)
        running = asyncio.create_task(workers.run())
        await until(lambda: sim.stats.requests >= 50)
        proxy.is_down = True
        await until(lambda: stores.troubles.now() is not None)
        sent = sim.stats.requests
        await asyncio.sleep(1)
        assert sim.stats.requests <= sent + 8 + 24 + 20
        proxy.is_down = False
        assert (await running).is_finished
        assert sim.stats.requests == ITEMS
        check(batch, await finalized(batch))


async def test_killed_at_any_request_to_the_store_nothing_is_lost_and_repeats_are_counted(
    versitygw: Bucket, fault_proxy: Proxied
) -> None:
    """The store takes its time with one request, and in the middle of it the worker is killed."""
    chance = random.Random(3)
    async with Simulator(SimulatorSettings.parse({"latency": "20ms"})) as sim:
        batch = S3Batch(versitygw, texts(ITEMS), url=sim.url)
        kills = 0
        for key in ("*/claim-*", "*/sent-*", "*/part-*", "*/part-*", "*/part-*", "*/done.json"):
            proxy = fault_proxy(versitygw)
            proxy.add(chance.choice([hang(20), slow(0.1), lost_answer()]), method="PUT", key=key, times=ALWAYS)
            written = batch.written()
            async with batch.process("work", proxy.bucket) as process:
                await until(lambda proxy=proxy, key=key: is_asked(proxy, key))  # type: ignore[misc]
                process.kill()
                await process.wait()
            kills += 1
            assert set(written) <= set(batch.written())
        async with batch.process("work") as process:
            assert await process.wait() == 0
        again = sum(count - 1 for count in sim.stats.keys.values())
        check(batch, await finalized(batch), resent=range(again, again + kills * 60 + 1))
        assert set(batch.written()) == set(range(ITEMS))


def is_asked(proxy: FaultProxy, key: str) -> bool:
    """Whether such a request is being dealt with, or was."""
    return any(rule.seen for rule in proxy._rules if rule.key == key)


async def test_killed_at_random_moments_nothing_is_lost_and_repeats_are_counted(versitygw: Bucket) -> None:
    chance = random.Random(11)
    async with Simulator(SimulatorSettings.parse({"latency": "20ms"})) as sim:
        batch = S3Batch(versitygw, texts(ITEMS), url=sim.url)
        kills = 0
        while kills < 6:
            goal = sim.stats.requests + chance.randrange(5, 40)
            async with batch.process("work") as process:
                await until(lambda goal=goal: sim.stats.requests >= goal)  # type: ignore[misc]
                await asyncio.sleep(chance.uniform(0, 0.2))
                process.kill()
                kills += await process.wait() < 0
        async with batch.process("work") as process:
            assert await process.wait() == 0
        again = sum(count - 1 for count in sim.stats.keys.values())
        check(batch, await finalized(batch), resent=range(again, again + kills * 60 + 1))
        assert again < ITEMS


async def test_killed_while_outputs_are_written_nothing_half_written_is_seen(
    versitygw: Bucket, fault_proxy: Proxied
) -> None:
    """Results are larger than one part of an upload."""
    items: list[Document] = [{"text": f"{n} " + "x" * 50_000} for n in range(400)]
    async with Simulator(SimulatorSettings.parse({})) as sim:
        batch = S3Batch(versitygw, items, url=sim.url, output={"includeInput": True}, concurrency=16)
        workers, _ = batch.workers()
        assert (await workers.run()).is_finished
        for method, key, query in (
            ("POST", "out/results.jsonl", "uploads"),
            ("PUT", "out/results.jsonl", "partNumber"),
            ("POST", "out/results.jsonl", "uploadId"),
            ("PUT", "out/errors.jsonl", ""),
            ("PUT", "out/summary.json", ""),
        ):
            proxy = fault_proxy(versitygw)
            proxy.add(hang(20), method=method, key=key, query=query, times=ALWAYS)
            async with batch.process("finalize", proxy.bucket) as process:
                await until(lambda proxy=proxy, key=key: is_asked(proxy, key))  # type: ignore[misc]
                process.kill()
                await process.wait()
            assert "summary.json" not in batch.outputs()
            if "results.jsonl" in batch.outputs():
                assert len(batch.records()) == len(items)
        summary = await finalized(batch)
        assert sim.stats.requests == len(items)
    assert [record["index"] for record in batch.records()] == list(range(len(items)))
    assert summary["resent_items"] == 0


@pytest.mark.parametrize("look_every_s", [0.1, 30.0])
async def test_two_attempts_at_one_shard_at_once_end_in_one_result_for_each_item(
    s3: Bucket, monkeypatch: pytest.MonkeyPatch, look_every_s: float
) -> None:
    """The older ends when it looks for a newer claim, or writes what nobody reads."""
    cadence = Cadence(every_s=0.2, least_records=20, at_most_s=0.4, mark_items=20, look_every_s=look_every_s)
    monkeypatch.setattr(cloud, "CLOUD_CADENCE", cadence)
    async with Simulator(SimulatorSettings.parse({"latency": "30ms"})) as sim:
        batch = S3Batch(s3, texts(ITEMS), url=sim.url, shardSize=ITEMS)
        older, _ = batch.workers()
        newer, _ = batch.workers()
        first = asyncio.create_task(older.run("pod-0"))
        await until(lambda: sim.stats.requests >= 60)
        second = asyncio.create_task(newer.run("pod-1"))
        with contextlib.suppress(ClaimLostError):
            assert (await first).is_finished
            assert look_every_s > 1, "it should have noticed"
        assert (await second).is_finished
        again = sum(count - 1 for count in sim.stats.keys.values())
        if look_every_s < 1:
            assert again < ITEMS / 2
        summary = await finalized(batch)
    check(batch, summary, resent=range(ITEMS))
    assert sorted(name[-10:] for name in s3.names() if "/claim-" in name) == ["claim-0001", "claim-0002"]
