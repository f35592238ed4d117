"""The canary: which items it asks, and that the shards go on after it with nothing asked twice."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.local_run import texts, until
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from llmbatch_contract.exits import Exit
from llmbatch_contract.plan import Shard
from llmbatch_contract.pods import CanaryCounts
from llmbatch_contract.progress import ShardProgress
from llmbatch_contract.usage import Usage
from llmbatch_worker.pods.canary import canary_counts, first_items
from worker.object_server import ObjectServer
from worker.pod_bench import PodBench


def _shards(*sizes: int) -> list[Shard]:
    return [Shard(n, sum(sizes[:n]), items, 0, 0) for n, items in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "most", "items"),
    [
        pytest.param((10,), 3, {0: 3}, id="one shard"),
        pytest.param((10, 10, 10, 10), 4, {0: 1, 1: 1, 2: 1, 3: 1}, id="one of each"),
        pytest.param((10, 10, 10, 10), 6, {0: 1, 1: 1, 2: 2, 3: 2}, id="nearly the same of each"),
        pytest.param((10,) * 9, 3, {1: 1, 4: 1, 7: 1}, id="fewer than shards: spread"),
        pytest.param((10,) * 100, 1, {50: 1}, id="one item is from the middle"),
        pytest.param((2, 10, 2), 9, {0: 2, 1: 5, 2: 2}, id="small shards give what they have"),
        pytest.param((1, 50, 1, 1, 1, 1), 3, {1: 1, 3: 1, 5: 1}, id="of those that are chosen"),
        pytest.param((3, 3), 100, {0: 3, 1: 3}, id="more than there are: all"),
        pytest.param((), 5, {}, id="none"),
        pytest.param((5,), 0, {}, id="none wanted"),
    ],
)
def test_which_items_are_asked_first(sizes: tuple[int, ...], most: int, items: dict[int, int]) -> None:
    assert first_items(_shards(*sizes), most) == items


@given(st.lists(st.integers(1, 30), max_size=60), st.integers(0, 500))
def test_exactly_so_many_are_asked(sizes: list[int], most: int) -> None:
    taken = first_items(_shards(*sizes), most)
    assert sum(taken.values()) == min(most, sum(sizes))
    assert all(0 < items <= sizes[number] for number, items in taken.items())


def test_counts_are_those_of_all_shards() -> None:
    one = ShardProgress(
        shard=0, attempt=1, items=10, succeeded=3, failed=1, attempts=5, usage=Usage(10, 20), latency={64: 4}
    )
    two = ShardProgress(shard=7, attempt=1, items=10, succeeded=2, attempts=2, usage=Usage(1, 2), latency={64: 2})
    counts = canary_counts([one, two], 120.0)
    assert (counts.items, counts.succeeded, counts.failed, counts.attempts) == (6, 5, 1, 7)
    assert (counts.usage, counts.items_per_minute) == (Usage(11, 22), 120.0)
    assert counts.latency_ms == pytest.approx(256, rel=0.05)


# With pods


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings.parse({"latency": "20ms"})) as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path, sim: Simulator) -> Iterator[PodBench]:
    with ObjectServer() as server:
        yield PodBench(tmp_path, server, sim.url)


def _counts(bench: PodBench) -> CanaryCounts:
    counts = bench.words.canary
    assert counts is not None
    return counts


async def _go_on(bench: PodBench, shards: int) -> None:
    """All pods after the canary's."""
    for number in range(shards):
        bench.env["JOB_COMPLETION_INDEX"] = str(number)
        ended = await bench.run("shard", pod=f"shard-{number}")
        assert ended.code == 0, str(ended)
    ended = await bench.run("finalize", pod="finalize-0")
    assert ended.code == 0, str(ended)


async def test_the_shards_go_on_after_the_canary_and_nothing_is_asked_twice(bench: PodBench, sim: Simulator) -> None:
    plan = bench.planned(items=texts(250), shardSize=100, canary={"items": 12})
    assert len(plan.shards) == 3
    ended = await bench.run("canary", pod="canary-0")
    assert ended.code == 0, str(ended)
    assert sim.stats.requests == 12
    assert sorted(r["index"] for r in bench.records()) == [*range(4), *range(100, 104), *range(200, 204)]
    counts = _counts(bench)
    assert (counts.items, counts.succeeded, counts.failed, counts.attempts) == (12, 12, 0, 12)
    assert counts.usage.total > 0
    assert counts.items_per_minute is not None
    assert 60 < counts.items_per_minute < 60_000

    await _go_on(bench, 3)
    assert sim.stats.requests == 250
    assert [line["index"] for line in bench.lines("results.jsonl")] == list(range(250))
    final = bench.words.final
    assert final is not None
    assert (final.items, final.succeeded, final.attempts, final.resent) == (250, 250, 250, 0)


async def test_a_canary_larger_than_the_batch_asks_all_of_it(bench: PodBench, sim: Simulator) -> None:
    bench.planned(items=texts(5), canary={"items": 50})
    ended = await bench.run("canary")
    assert (ended.code, _counts(bench).items) == (0, 5), str(ended)
    await _go_on(bench, 1)
    assert sim.stats.requests == 5
    assert len(bench.lines("results.jsonl")) == 5


async def test_a_canary_that_is_run_again_asks_only_what_is_missing(bench: PodBench, sim: Simulator) -> None:
    bench.planned(items=texts(40), shardSize=20, canary={"items": 10})
    async with bench.started("canary", pod="canary-0") as process:
        await until(lambda: sim.stats.requests >= 3)
        process.kill_group()
    ended = await bench.run("canary", pod="canary-1")
    assert ended.code == 0, str(ended)
    assert _counts(bench).items == 10
    again = await bench.run("canary", pod="canary-2")
    assert again.code == 0, str(again)
    assert (_counts(bench).items, _counts(bench).items_per_minute) == (10, None)
    asked = sim.stats.requests
    await _go_on(bench, 2)
    assert sim.stats.requests == asked + 30
    assert Counter(r["index"] for r in bench.records()) == Counter(range(40))
    final = bench.words.final
    assert final is not None
    assert final.succeeded == 40
    assert asked - 10 <= final.resent <= 10


async def test_without_a_canary_in_the_spec_nothing_is_asked(bench: PodBench, sim: Simulator) -> None:
    """It was taken out while the pod was on its way."""
    bench.planned(items=texts(5))
    ended = await bench.run("canary")
    assert (ended.code, _counts(bench).items, sim.stats.requests) == (0, 0, 0), str(ended)


async def test_a_failure_that_stops_the_batch_stops_the_canary(bench: PodBench) -> None:
    bench.planned(items=[{"text": "[[simulate: auth]]"}, *texts(20)], canary={"items": 3})
    ended = await bench.run("canary")
    assert ended.code == Exit.STOPPED, str(ended)
    assert bench.words.stop is not None
    assert bench.words.canary is None
