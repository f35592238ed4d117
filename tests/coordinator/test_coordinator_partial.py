"""Records of finished shards through the coordinator: all of them, in order, to those with a signature only."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from coordinator.coordinator_bench import FOREIGN, MIB, TICKETS, Bench, serving, signed
from finished_shards import Work, finished_shards
from llmbatch_contract import layout
from llmbatch_contract.partial import PartialCounts

RESULTS = signed("team-a", "tickets", "partial/results", TICKETS)
ERRORS = signed("team-a", "tickets", "partial/errors", TICKETS)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with serving(tmp_path) as bench:
        yield bench


def keep(folder: Path, work: Work) -> Path:
    """Put working objects where the coordinator has them."""
    area = folder / "batches" / TICKETS / "work"
    for name, data in work.objects.items():
        (area / name).parent.mkdir(parents=True, exist_ok=True)
        (area / name).write_bytes(data)
    return area


async def read(bench: Bench, path: str) -> tuple[list[bytes], PartialCounts | None]:
    response = await bench.call("GET", path, token=None)
    assert response.status_code == 200, response.text
    *records, last = response.content.splitlines(keepends=True)
    return records, PartialCounts.of_line(last)


@pytest.mark.parametrize("done", [[], [0], [3, 1], range(6)], ids=["none", "the first", "some", "all"])
async def test_finished_shards_are_read_in_input_order_with_counts_at_the_end(
    bench: Bench, tmp_path: Path, done: list[int]
) -> None:
    work = finished_shards(6, 50, done)
    keep(tmp_path, work)
    counts = {"shards": len(done), "of_shards": 6, "items": 50 * len(done), "of_items": 300}
    assert await read(bench, RESULTS) == (work.results, PartialCounts(**counts, records=len(work.results)))
    assert await read(bench, ERRORS) == (work.errors, PartialCounts(**counts, records=len(work.errors)))


async def test_a_stream_of_many_blocks_comes_whole(bench: Bench, tmp_path: Path) -> None:
    work = finished_shards(3, 400, [0, 1, 2], text="x" * 2000)
    keep(tmp_path, work)
    records, counts = await read(bench, RESULTS)
    assert sum(map(len, records)) > 2 * MIB
    assert records == work.results
    assert counts is not None


async def test_without_a_plan_there_is_nothing_yet(bench: Bench) -> None:
    response = await bench.call("GET", RESULTS, token=None)
    assert (response.status_code, response.text) == (404, "no shard is finished yet, or the whole batch is")


@pytest.mark.parametrize(
    ("method", "path", "status", "part"),
    [
        pytest.param("GET", RESULTS.partition("?")[0], 403, "signature is wrong", id="no signature"),
        pytest.param("GET", ERRORS.replace("errors", "results"), 403, "signature is wrong", id="signed for errors"),
        pytest.param(
            "GET",
            signed("team-a", "tickets", "partial/results", FOREIGN),
            403,
            "signature is wrong",
            id="another batch's key",
        ),
        pytest.param(
            "GET", signed("team-a", "tickets", "partial/plan.json", TICKETS), 404, "results and errors", id="the plan"
        ),
        pytest.param("HEAD", RESULTS, 405, "", id="how large it is"),
    ],
)
async def test_all_else_is_refused(
    bench: Bench, tmp_path: Path, method: str, path: str, status: int, part: str
) -> None:
    keep(tmp_path, finished_shards(1, 5, [0]))
    response = await bench.call(method, path, token=None)
    assert response.status_code == status
    assert part in response.text


@pytest.mark.parametrize("damage", [b"{", b'{"index": 900}\n'], ids=["no JSON", "an item of another shard"])
async def test_what_is_damaged_breaks_off_rather_than_end(bench: Bench, tmp_path: Path, damage: bytes) -> None:
    area = keep(tmp_path, finished_shards(2, 5, [0, 1]))
    (area / layout.part(1, 1, 0)).write_bytes(damage)
    with pytest.raises(httpx.RemoteProtocolError):
        await bench.call("GET", RESULTS, token=None)


async def test_when_the_batch_ends_meanwhile_it_breaks_off(bench: Bench, tmp_path: Path) -> None:
    area = keep(tmp_path, finished_shards(3, 1000, [0, 1, 2], text="x" * 8000))
    with pytest.raises(httpx.RemoteProtocolError):
        async with bench.client.stream("GET", RESULTS) as response:
            blocks = response.aiter_bytes()
            await anext(blocks)
            await asyncio.to_thread(shutil.rmtree, area)
            async for _ in blocks:
                pass
