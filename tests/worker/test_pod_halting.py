"""Pods that are paused or told to end: nothing new is sent, what is answered is kept, and nothing is asked twice."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from builders import Document
from engine.local_run import Process, texts, until
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from llmbatch_contract.exits import Exit
from llmbatch_contract.pods import Stage
from llmbatch_contract.reports import Command, Report
from llmbatch_worker.pods import running, working
from llmbatch_worker.pods.halting import Halt, Halted
from llmbatch_worker.pods.setting import read_setting
from worker.object_server import Fault, ObjectServer
from worker.pod_bench import PodBench

HANGING: Document = {"text": "[[simulate: hang x1]]"}


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings.parse({"latency": "300ms"})) as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path, sim: Simulator) -> Iterator[PodBench]:
    with ObjectServer() as server:
        yield PodBench(tmp_path, server, sim.url)


def _is_at_rest(report: Report) -> bool:
    return report.in_flight == 0 and all(s.unwritten_succeeded + s.unwritten_failed == 0 for s in report.shards)


async def _until_at_rest(bench: PodBench) -> list[Report]:
    """Pause, and wait until the pod has nothing left to do; the reports since."""
    before = len(bench.server.reports)
    bench.server.command(Command.PAUSE)
    await until(lambda: any(_is_at_rest(r) for r in bench.server.reports[before + 1 :]))
    return bench.server.reports[before:]


# Pause


async def test_a_paused_pod_ends_what_is_in_flight_writes_it_down_and_says_so(bench: PodBench, sim: Simulator) -> None:
    bench.planned(items=texts(60), concurrency=6)
    async with bench.started("shard") as process:
        await until(lambda: sim.stats.answered_ok >= 6)
        started = asyncio.get_running_loop().time()
        await _until_at_rest(bench)
        assert asyncio.get_running_loop().time() - started < 2.0 * max(1.0, os.getloadavg()[0])
        answered = sim.stats.answered_ok
        assert sim.stats.requests == answered == len(bench.records())
        assert bench.server.reports[-1].shards[0].succeeded == answered
        seen = len(bench.server.reports)
        await until(lambda: len(bench.server.reports) >= seen + 3)
        assert sim.stats.requests == answered
        bench.server.command(Command.RUN)
        ended = await process.ended()
    assert ended.code == 0, str(ended)
    assert sim.stats.requests == 60


async def test_a_pod_that_is_paused_at_its_start_sends_nothing_and_does_not_chatter(
    bench: PodBench, sim: Simulator
) -> None:
    bench.server.command(Command.PAUSE)
    bench.planned(items=texts(3))
    async with bench.started("shard") as process:
        await until(lambda: bench.reported() >= 6)
        assert sim.stats.requests == 0
        started = asyncio.get_running_loop().time()
        await until(lambda: bench.reported() >= 11)
        assert asyncio.get_running_loop().time() - started > 0.3
        process.signal(signal.SIGTERM)
        ended = await process.ended()
    assert ended.code == 130, str(ended)
    assert bench.server.reports[-1].leaving


# SIGTERM


async def test_a_pod_that_is_told_to_end_keeps_the_answers_that_were_on_their_way(
    bench: PodBench, sim: Simulator
) -> None:
    bench.planned(items=texts(60), concurrency=6)
    async with bench.started("shard") as process:
        await until(lambda: sim.stats.in_flight == 6 and sim.stats.answered_ok >= 6)
        process.signal(signal.SIGTERM)
        ended = await process.ended()
    assert ended.code == 130, str(ended)
    assert ended.seconds < 10
    kept = len(bench.records())
    assert sim.stats.requests == sim.stats.answered_ok == kept >= 12
    progress = bench.words.progress
    assert progress is not None
    assert (progress.succeeded, progress.unwritten_succeeded) == (kept, 0)
    again = await bench.run("shard", pod="pod-1")
    assert again.code == 0, str(again)
    assert sim.stats.requests == 60
    assert bench.words.progress is not None
    assert bench.words.progress.resent == 0


async def test_a_shard_that_is_done_by_the_time_the_pod_ends_is_done(bench: PodBench, sim: Simulator) -> None:
    bench.planned(items=texts(4), concurrency=4)
    async with bench.started("shard") as process:
        await until(lambda: sim.stats.in_flight == 4)
        process.signal(signal.SIGTERM)
        ended = await process.ended()
    assert ended.code == 0, str(ended)
    assert "shards/00000/done.json" in bench.server.names()


async def test_of_a_small_batch_a_pod_that_is_told_to_end_leaves_the_outputs_to_the_next(
    bench: PodBench, sim: Simulator
) -> None:
    bench.batch(items=texts(8), concurrency=4)
    async with bench.started("run") as process:
        await until(lambda: sim.stats.in_flight == 4)
        process.signal(signal.SIGTERM)
        ended = await process.ended()
    assert ended.code == 130, str(ended)
    assert bench.server.names("output") == []
    again = await bench.run("run", pod="pod-1")
    assert again.code == 0, str(again)
    assert sim.stats.requests == 8
    assert len(bench.lines("results.jsonl")) == 8


async def test_a_signal_during_the_start_is_not_lost(bench: PodBench, sim: Simulator) -> None:
    bench.batch(items=texts(3))
    async with bench.started("run") as process:
        await until(lambda: _catches_sigterm(process))
        process.signal(signal.SIGTERM)
        ended = await process.ended()
    assert ended.code == 130, str(ended)
    assert "Traceback" not in ended.err
    assert sim.stats.requests == 0


def _catches_sigterm(process: Process) -> bool:
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


async def test_a_pod_that_plans_ends_at_once(bench: PodBench) -> None:
    bench.batch(items=texts(3))
    bench.server.trouble(Fault.HANG, method="PUT")
    async with bench.started("plan") as process:
        await until(lambda: len(bench.written()) > 0)
        process.signal(signal.SIGTERM)
        ended = await process.ended(5)
    assert ended.code == 130, str(ended)
    assert "Traceback" not in ended.err
    assert bench.server.names() == []


# In this process: what is waited for no longer than it is worth


@pytest.fixture
def halted_run(bench: PodBench, monkeypatch: pytest.MonkeyPatch) -> Callable[[Halt], Exit]:
    """The shard stage, to be run in a thread and halted by calling what a signal would call."""
    names = {"_LLMBATCH_TOKEN": "token", "_LLMBATCH_INPUT_FOLDER": "input", "_LLMBATCH_LAST_WORDS": "words"}
    environment = {name: str(bench.folder / path) for name, path in names.items()} | {"JOB_COMPLETION_INDEX": "0"}
    monkeypatch.setattr(running, "start_logs", lambda **_: None)
    monkeypatch.setattr(working, "_DRAIN_S", 0.3)
    monkeypatch.setattr(working, "_GIVE_UP_S", 0.8)
    setting = read_setting(Stage.SHARD, bench.config, None, environment)
    return lambda halt: running.run_stage(setting, halt)


def _signal(halt: Halt) -> None:
    halt._on_signal(signal.SIGTERM, None)


async def test_a_request_that_does_not_end_is_given_up_and_asked_again_by_the_next(
    bench: PodBench, sim: Simulator, halted_run: Callable[[Halt], Exit]
) -> None:
    bench.planned(items=[HANGING, *texts(3)], concurrency=4)
    halt = Halt()
    ending = asyncio.create_task(asyncio.to_thread(halted_run, halt))
    await until(lambda: sim.stats.answered_ok == 3)
    _signal(halt)
    async with asyncio.timeout(3):
        assert await ending is Exit.INTERRUPTED
    assert sorted(r["index"] for r in bench.records()) == [1, 2, 3]
    again = await bench.run("shard", pod="pod-1")
    assert again.code == 0, str(again)
    assert bench.words.progress is not None
    assert bench.words.progress.resent == 1


async def test_a_store_that_is_away_is_given_up_when_the_pod_has_to_end(
    bench: PodBench, sim: Simulator, halted_run: Callable[[Halt], Exit]
) -> None:
    bench.planned(items=texts(60), concurrency=6)
    halt = Halt()
    ending = asyncio.create_task(asyncio.to_thread(halted_run, halt))
    await until(lambda: sim.stats.answered_ok >= 6)
    bench.server.trouble(Fault.UNAVAILABLE)
    _signal(halt)
    async with asyncio.timeout(6):
        assert await ending is Exit.INTERRUPTED
    assert bench.words.error is not None
    assert bench.words.error.kind == "StoreAwayError"
    bench.server.heal()
    again = await bench.run("shard", pod="pod-1")
    assert again.code == 0, str(again)
    assert sorted(r["index"] for r in bench.records()) == list(range(60))


@pytest.fixture
def listening() -> Iterator[Halt]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    halt = Halt()
    halt.listen()
    yield halt
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_raised_where_nobody_is_to_be_told(listening: Halt, number: signal.Signals) -> None:
    listening.check()
    with pytest.raises(Halted):
        signal.raise_signal(number)
    with pytest.raises(Halted):
        listening.check()


def test_who_is_to_be_told_is_told_also_of_an_earlier_signal(listening: Halt) -> None:
    told: list[str] = []
    with listening.telling(lambda: told.append("now")):
        signal.raise_signal(signal.SIGTERM)
        assert told == ["now"]
    with listening.telling(lambda: told.append("before")):
        assert told == ["now", "before"]
    with pytest.raises(Halted):
        signal.raise_signal(signal.SIGTERM)
