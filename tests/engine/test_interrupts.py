"""Asked to stop, a run stops at once, in order, and can go on."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from engine.local_run import Bench, texts, until
from engine.own_engines import OwnBatch
from llmbatch_cli.running.links import StoreWaits
from llmbatch_cli.running.telling import LostWorker
from llmbatch_cli.running.workers import WorkerProcesses
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from llmbatch_contract.endpoint import Limits
from llmbatch_contract.sharing import EndpointShares

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def _promised_s() -> float:
    """Two seconds; more on a machine that is busy with other things."""
    return 2.0 * max(1.0, os.getloadavg()[0])


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("workers", [1, 3])
async def test_a_signal_ends_the_run_within_two_seconds_and_the_next_asks_only_the_rest(
    tmp_path: Path, number: signal.Signals, workers: int
) -> None:
    async with Simulator(SimulatorSettings.parse({"latency": "30ms"})) as sim:
        bench = Bench(tmp_path, sim.url)
        hanging = [{"text": "[[simulate: hang x1]]"}]
        bench.batch(items=[*hanging, *texts(300)], concurrency=6, shardSize=40)
        async with bench.started("--workers", str(workers)) as process:
            await until(lambda: sim.stats.answered_ok >= 100)
            asked = asyncio.get_running_loop().time()
            process.signal(number)
            ended = await process.ended(20)
            took_s = asyncio.get_running_loop().time() - asked
        assert ended.code == 130, str(ended)
        assert "Traceback" not in ended.err, ended.err
        assert "Run the same command again" in ended.out
        assert took_s < _promised_s()
        written = len(bench.parts())
        assert written <= sim.stats.answered_ok <= written + 6 * workers  # some answers were on their way
        sim.stats.requests = 0
        again = await bench.run("--workers", str(workers))
        assert again.code == 0, str(again)
        assert [r["index"] for r in bench.results()] == list(range(301))
        assert sim.stats.requests == 301 - written
        sent_twice = [key for key, requests in sim.stats.keys.items() if requests > 1]
        assert len(sent_twice) <= bench.summary()["resent_items"] <= 7 * workers


@pytest.mark.parametrize("number", SIGNALS)
async def test_after_an_orderly_stop_the_count_of_resent_items_is_exact(tmp_path: Path, number: signal.Signals) -> None:
    async with Simulator(SimulatorSettings.parse({"fail": {"hang": 1.0}})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(50), concurrency=6)
        async with bench.started() as process:
            await until(lambda: sim.stats.in_flight == 6)
            process.signal(number)
            assert (await process.ended(20)).code == 130
        sim.update(fail={})
        again = await bench.run()
        assert again.code == 0, str(again)
        assert sim.stats.requests == 56
        assert bench.summary()["resent_items"] == 6


async def test_a_signal_while_workers_start_is_an_interruption_too(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({"latency": "30ms"})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(300), concurrency=1, shardSize=1)
        async with bench.started("--workers", "6") as process:
            await until(lambda: len(process.children()) >= 6)
            process.signal(signal.SIGTERM)
            ended = await process.ended(20)
    assert ended.code == 130, str(ended)
    assert "Traceback" not in ended.err, ended.err


async def test_workers_that_are_ended_before_they_listen_have_not_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starting = tmp_path / "starting"
    starting.write_text(f"#!/bin/sh\ntouch {tmp_path}/$$.started\nexec sleep 60\n")
    starting.chmod(0o755)
    own = OwnBatch(
        tmp_path / "batch", EndpointShares(Limits(), time.monotonic()), items=texts(10), url="http://127.0.0.1:9/v1"
    )
    lost: list[LostWorker] = []
    workers = WorkerProcesses(own.job, own.coordinator, own.queue, StoreWaits(), 5, lost.append)
    monkeypatch.setattr(sys, "executable", str(starting))
    async with asyncio.TaskGroup() as running:
        running.create_task(workers.run())
        await until(lambda: len(list(tmp_path.glob("*.started"))) == 5)
        workers.interrupt()
    assert not lost


async def test_a_signal_between_two_shards_leaves_no_traceback(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(2000), concurrency=64, shardSize=1)
        async with bench.started("--workers", "3") as process:
            await until(lambda: sim.stats.answered_ok >= 60)
            process.signal(signal.SIGTERM)
            ended = await process.ended(20)
    assert ended.code == 130, str(ended)
    assert "Traceback" not in ended.err, ended.err


async def test_a_signal_while_outputs_are_written_is_an_interruption_too(tmp_path: Path) -> None:
    """Nobody reads stdout, so that the run waits in the middle of its progress lines."""
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(600), concurrency=64, shardSize=1)
        async with bench.started("--output", "json") as process:
            assert process.process.stdout is not None
            async for line in process.process.stdout:
                if b"finalizing" in line:
                    break
            process.signal(signal.SIGTERM)
            ended = await process.ended(20)
        assert ended.code in (0, 130), str(ended)
        again = await bench.run()
        assert again.code == 0
        assert sim.stats.requests == 600


@pytest.mark.parametrize("workers", [1, 2])
async def test_of_two_runs_on_the_same_state_the_older_ends_and_the_outputs_are_right(
    tmp_path: Path, workers: int
) -> None:
    async with Simulator(SimulatorSettings.parse({"latency": "20ms"})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(200), concurrency=4, shardSize=200, retry={"maxAttempts": 100})
        async with bench.started("--workers", str(workers)) as older:
            await until(lambda: sim.stats.answered_ok >= 20)
            sim.update(fail={"unavailable": 1.0}, fail_attempts=0)  # the older must not end before the newer begins
            async with bench.started("--workers", str(workers)) as newer:
                await until((bench.state / "shards/00000/claim-0002").exists)
                sim.update(fail={})
                lost, won = await asyncio.gather(older.ended(), newer.ended())
        assert lost.code == 1, str(lost)
        assert "another process took over shard 0" in lost.err
        assert "Traceback" not in lost.err
        assert won.code == 0, str(won)
        assert bench.indexes() == list(range(200))
