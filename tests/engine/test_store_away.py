"""A store that goes away while a worker runs: it waits, says so, sends little, and goes on; told to end, it ends."""

import asyncio
import contextlib
import time
from typing import Any

import pytest

from builders import Document
from engine.far_store import FarStores
from engine.hand_plan import hand_plan
from engine.local_run import FAST_RETRY, texts, until
from engine.own_engines import OwnWorkers
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from llmbatch_contract.errors import StoreAwayError
from llmbatch_contract.sharing import EndpointShares
from llmbatch_contract.spec import Limits
from llmbatch_worker import recorder
from llmbatch_worker.stores.protocol import Cadence

QUICK = Cadence(every_s=0.1, at_most_s=0.1, mark_items=20)
CONCURRENCY = 8
READ_AHEAD = 24 + 20
"""One and a half windows, and what a mark covers beyond."""


def far_batch(sim: Simulator, items: list[Document], **fields: Any) -> tuple[FarStores, OwnWorkers]:
    """A batch that is planned in a store far away."""
    far = FarStores(QUICK)
    asked: Document = {"concurrency": CONCURRENCY, "retry": FAST_RETRY, "shard_size": 100}
    plan, job = hand_plan(far, items, url=sim.url, **asked | fields)
    return far, OwnWorkers(job, plan, EndpointShares(Limits(), time.monotonic()), stores=far, troubles=far)


def written(far: FarStores) -> list[int]:
    """Numbers of the items that have a record."""
    parts = [data for name, data in far.objects.items() if "/part-" in name]
    return sorted(int(line.partition(b'"index":')[2].split(b",")[0]) for part in parts for line in part.splitlines())


async def rest(sim: Simulator) -> int:
    """Wait until nothing is sent any more; how many requests there were."""
    while True:
        before = sim.stats.requests
        await asyncio.sleep(0.3)
        if sim.stats.requests == before and sim.stats.in_flight == 0:
            return before


async def test_a_worker_whose_store_is_away_says_so_sends_little_and_goes_on_when_it_is_back() -> None:
    async with Simulator(SimulatorSettings.parse({"latency": "20ms"})) as sim:
        far, batch = far_batch(sim, texts(400))
        running = asyncio.create_task(batch.run())
        await until(lambda: sim.stats.requests >= 50)
        before = sim.stats.requests
        far.go_away()
        assert await rest(sim) <= before + CONCURRENCY + READ_AHEAD
        report = batch.links["pod-0"].report
        assert report is not None
        assert report.store_trouble is not None
        assert report.store_trouble.message == "the store does not answer"
        assert report.demand.requests_per_minute == 0
        far.come_back()
        assert (await running).is_finished
        assert sim.stats.requests == 400
    assert written(far) == list(range(400))
    assert batch.links["pod-0"].report is not None
    assert batch.links["pod-0"].report.store_trouble is None


async def test_a_worker_that_has_sent_everything_still_tells_that_it_cannot_write_it_down() -> None:
    async with Simulator(SimulatorSettings.parse({"latency": "20ms"})) as sim:
        far, batch = far_batch(sim, texts(20))
        far.go_away("part-")
        running = asyncio.create_task(batch.run())
        await until(lambda: sim.stats.answered_ok == 20 and far.now() is not None)
        for _ in range(2):
            batch.links["pod-0"].report = None
            await until(lambda: batch.links["pod-0"].report is not None)
            report = batch.links["pod-0"].report
            assert report is not None
            assert report.store_trouble is not None
            assert not report.leaving
        far.come_back()
        assert (await running).is_finished
    assert written(far) == list(range(20))


async def test_what_waits_to_be_written_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MOST_UNWRITTEN_BYTES", 100_000)
    async with Simulator(SimulatorSettings.parse({"latency": "5ms"})) as sim:
        items = [{"text": f"{n} " + "x" * 10_000} for n in range(300)]
        far, batch = far_batch(sim, items, output={"uri": "s3://bucket/out", "includeInput": True})
        far.go_away("part-")
        running = asyncio.create_task(batch.run())
        await until(lambda: sim.stats.requests >= 10)
        assert await rest(sim) <= 10 + CONCURRENCY
        far.come_back()
        assert (await running).is_finished
    assert written(far) == list(range(300))


@pytest.mark.parametrize(
    "away",
    [
        pytest.param("part-", id="records cannot be written"),
        pytest.param("sent-", id="marks cannot be written"),
        pytest.param("input", id="items cannot be read"),
        pytest.param("", id="nothing works"),
    ],
)
async def test_told_to_end_while_the_store_is_away_a_worker_ends_in_time_and_the_next_asks_the_rest(away: str) -> None:
    async with Simulator(SimulatorSettings.parse({"latency": "20ms"})) as sim:
        far, batch = far_batch(sim, texts(300), shard_size=50)
        running = asyncio.create_task(batch.run())
        await until(lambda: sim.stats.requests >= 30)
        far.go_away(away)
        await until(lambda: far.now() is not None)
        far.end_in(0.5)
        asked_at = time.monotonic()
        batch.engines["pod-0"].interrupt(0.2)
        with contextlib.suppress(StoreAwayError):
            assert (await running).interrupted
        assert time.monotonic() - asked_at < 3
        report = batch.links["pod-0"].report
        assert report is not None
        assert report.leaving
        far.come_back()
        known, before = len(written(far)), sim.stats.requests
        far.ends_at = float("inf")
        assert (await batch.run("pod-1", shards=range(6))).is_finished
        assert sim.stats.requests == before + 300 - known
    assert written(far) == list(range(300))
