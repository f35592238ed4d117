"""Killed at any moment, run again: nothing is lost and nothing that was written is asked again."""

import asyncio
import os
import random
import signal
from pathlib import Path

from builders import Document
from engine.local_run import Bench, Ended, Process, texts, until
from llmbatch_cli.simulator import Simulator, SimulatorSettings

LATENCY = {"latency": "30ms", "latency_spread": 0.3}
CONCURRENCY = 8
_PASSING = ("attempts", "latency_ms", "completed_at", "trace_id")


def _lasting(records: list[Document]) -> list[Document]:
    return [{name: value for name, value in record.items() if name not in _PASSING} for record in records]


async def _killed(process: Process, sim: Simulator, after: int, chance: random.Random, *, a_child: bool) -> bool:
    """Kill after so many more requests; False when it ended before."""
    goal = sim.stats.requests + after
    await until(lambda: sim.stats.requests >= goal or process.process.returncode is not None)
    if process.process.returncode is not None:
        return False
    children = process.children()
    pid = chance.choice(children) if a_child and children else process.process.pid
    os.kill(pid, signal.SIGKILL)
    return True


def _window(sim: Simulator, before: int, workers: int = 1) -> int:
    """Items that workers read ahead at most, when they sent what came since: feed.py, LEAST_WINDOW each."""
    return workers * max(16, CONCURRENCY) + sim.stats.requests - before


def _check_resent(sim: Simulator, summary: Document, windows: list[int]) -> None:
    """Every repeat is counted, and of what was not sent at most one and a half windows for each kill."""
    again = sum(requests - 1 for requests in sim.stats.keys.values())
    assert again <= summary["resent_items"] <= again + 1.5 * sum(windows)


async def _undisturbed(folder: Path, url: str, items: list[Document]) -> list[Document]:
    folder.mkdir()  # noqa: ASYNC240
    bench = Bench(folder, url)
    bench.batch(items=items, concurrency=64)
    assert (await bench.run()).code == 0
    return _lasting(bench.results())


async def test_killed_twenty_times_nothing_is_lost_and_nothing_written_is_asked_again(tmp_path: Path) -> None:
    chance, items = random.Random(7), texts(900)
    windows: list[int] = []
    async with Simulator(SimulatorSettings.parse(LATENCY)) as sim:
        expected = await _undisturbed(tmp_path / "undisturbed", sim.url, items)
        sim.reset()
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=items, concurrency=CONCURRENCY, shardSize=25)
        written: dict[int, int] = {}
        while len(windows) < 20:
            before = sim.stats.requests
            async with bench.started() as process:
                hit = await _killed(process, sim, chance.randrange(0, 60), chance, a_child=False)
                await process.process.wait()
            assert hit, "it ended before it was killed often enough"
            windows.append(_window(sim, before))
            now = {r["index"]: sim.stats.keys[_key(sim, r["index"])] for r in bench.parts()}
            assert {i: now[i] for i in written} == written
            written = now
        assert len(written) >= 100
        ended = await bench.run()
        assert ended.code == 0, str(ended)
        assert _lasting(bench.results()) == expected
        assert bench.errors() == []
        _check_resent(sim, bench.summary(), windows)


def _key(sim: Simulator, index: int) -> str:
    return next(key for key in sim.stats.keys if key.endswith(f"-{index}"))


async def test_killed_among_three_workers_nothing_is_lost_and_repeats_are_counted(tmp_path: Path) -> None:
    chance, items = random.Random(11), texts(600)
    windows: list[int] = []
    async with Simulator(SimulatorSettings.parse(LATENCY)) as sim:
        expected = await _undisturbed(tmp_path / "undisturbed", sim.url, items)
        sim.reset()
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=items, concurrency=4, shardSize=40)
        for parent_dies in (False, True, False):
            before = sim.stats.requests
            async with bench.started("--workers", "3") as process:
                await _killed(process, sim, chance.randrange(20, 60), chance, a_child=not parent_dies)
                if not parent_dies:
                    await _killed(process, sim, 40, chance, a_child=False)
                await process.process.wait()
            windows.append(_window(sim, before, workers=4))
        ended = await bench.run("--workers", "3")
        assert ended.code == 0, str(ended)
        assert _lasting(bench.results()) == expected
        _check_resent(sim, bench.summary(), windows)


async def test_workers_whose_parent_was_killed_send_nothing_that_is_not_counted(tmp_path: Path) -> None:
    """The run that follows at once must not race with workers of the last one."""
    async with Simulator(SimulatorSettings.parse({"latency": "50ms"})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(300), concurrency=8, shardSize=150)
        async with bench.started("--workers", "2") as process:
            await until(lambda: sim.stats.requests >= 30)
            window = _window(sim, 0, workers=2)
            process.process.kill()
            await process.process.wait()
            ended = await bench.run("--workers", "2")
        assert ended.code == 0, str(ended)
        _check_resent(sim, bench.summary(), [window, window])
        assert bench.indexes() == list(range(300))


async def test_a_killed_worker_process_is_replaced_and_the_run_goes_on(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse(LATENCY)) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(300), concurrency=4, shardSize=25)
        async with bench.started("--workers", "2") as process:
            assert await _killed(process, sim, 60, random.Random(1), a_child=True)
            window = _window(sim, 0)
            ended = await process.ended()
        assert ended.code == 0, str(ended)
        assert [r["index"] for r in bench.results()] == list(range(300))
        _check_resent(sim, bench.summary(), [window])


async def test_worker_processes_that_keep_dying_end_the_run_with_a_clear_error(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({"latency": "10s"})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(50), concurrency=1, shardSize=1)
        async with bench.started("--workers", "2") as process:
            ended = await _kill_all_children(process)
    assert ended.code == 1, str(ended)
    assert "worker processes died 4 times" in ended.err
    assert "-9" in ended.err
    assert "Traceback" not in ended.err


async def _kill_all_children(process: Process) -> Ended:
    ending = asyncio.create_task(process.ended(30))
    while not ending.done():
        for pid in process.children():
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.05)
    return await ending
