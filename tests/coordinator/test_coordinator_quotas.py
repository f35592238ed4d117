"""Limits of the built-in store: nothing is written beyond them, the refusal says what to do, room heals it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.coordinator_bench import (
    FOREIGN,
    MAILS,
    MIB,
    POD_B,
    POD_MAILS,
    TICKETS,
    Bench,
    files_below,
    serving,
    until,
)
from llmbatch_contract.errors import BatchGoneError, StoreError, StoreFullError
from llmbatch_contract.wire import ERROR_KIND
from llmbatch_operator.coordinator.ledger import Ledger, Limits
from llmbatch_operator.coordinator.names import Area, object_key
from llmbatch_operator.coordinator.objects import Objects
from llmbatch_operator.shown import readable_bytes

TIGHT = Limits(batch=2 * MIB, total=3 * MIB, output_reserve=MIB)
ONE = b"x" * MIB


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with serving(tmp_path, TIGHT) as bench:
        yield bench


async def chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield ONE


@pytest.mark.parametrize("body", [pytest.param(ONE * 3, id="of known size"), pytest.param(None, id="while it streams")])
async def test_a_batch_may_not_use_more_than_its_limit(bench: Bench, tmp_path: Path, body: bytes | None) -> None:
    content = chunks(3) if body is None else body
    response = await bench.call("PUT", "/v1/objects/work/part", content=content)
    assert (response.status_code, response.headers[ERROR_KIND]) == (507, "StoreFullError")
    assert "2 MiB" in response.text
    assert "LLMBATCH_STORE_BATCH_LIMIT" in response.text
    assert bench.desk.full == [(TICKETS, response.text)]
    assert bench.objects.usage() == {TICKETS: 0}
    assert await bench.get("part") == 404
    assert files_below(tmp_path / "batches") == []


async def test_all_batches_together_may_not_use_more_than_the_total(bench: Bench) -> None:
    assert [await bench.put("a", ONE * 2), await bench.put("a", ONE, token=POD_B)] == [201, 201]
    response = await bench.call("PUT", "/v1/objects/work/a", token=POD_MAILS, content=b"x")
    assert response.status_code == 507
    assert "3 MiB" in response.text
    assert "LLMBATCH_STORE_LIMIT" in response.text
    assert bench.desk.full == [(MAILS, response.text)]


async def test_outputs_may_use_the_reserve_and_no_more(bench: Bench) -> None:
    assert [await bench.put("a", ONE * 2), await bench.put("a", ONE, token=POD_B)] == [201, 201]
    assert await bench.put("results.jsonl", ONE, area="output") == 201
    assert await bench.put("summary.json", b"x", area="output") == 507


async def test_outputs_do_not_count_against_the_limit_of_a_batch(bench: Bench) -> None:
    assert [await bench.put("r", ONE, area="output"), await bench.put("a", ONE * 2)] == [201, 201]


async def test_replacing_an_object_frees_the_older_one(bench: Bench) -> None:
    for _ in range(5):
        assert await bench.put("a", ONE) == 201
    assert bench.objects.usage() == {TICKETS: MIB}


async def test_removing_a_batch_makes_room_and_the_desk_is_told(bench: Bench) -> None:
    await bench.put("a", ONE * 2, token=POD_B)
    assert [await bench.put("a", ONE), await bench.put("b", ONE), await bench.put("b", ONE)] == [201, 507, 507]
    await bench.objects.remove_batch(FOREIGN)
    assert [await bench.put("b", ONE), await bench.put("c", b"")] == [201, 201]
    assert [message is None for _, message in bench.desk.full] == [False, False, True]


async def test_removing_the_work_of_a_batch_keeps_its_outputs(bench: Bench, tmp_path: Path) -> None:
    await bench.put("shards/00001/part", ONE * 2)
    await bench.put("results.jsonl", b"{}\n", area="output")
    await bench.objects.remove_work(TICKETS)
    assert files_below(tmp_path) == [f"batches/{TICKETS}/output/results.jsonl"]
    assert bench.objects.usage() == {TICKETS: 3}
    assert await bench.put("shards/00001/part", ONE * 2) == 201


async def test_removing_a_batch_removes_every_file_and_doing_it_again_is_fine(bench: Bench, tmp_path: Path) -> None:
    await bench.put("shards/00001/part", ONE)
    await bench.put("results.jsonl", b"{}\n", area="output")
    for _ in range(2):
        await bench.objects.remove_batch(TICKETS)
        assert (await bench.objects.batches(), bench.objects.usage(), files_below(tmp_path)) == ([], {}, [])


async def test_what_is_written_while_its_batch_is_removed_is_not_kept(tmp_path: Path) -> None:
    objects = await Objects.open(tmp_path, TIGHT)
    is_removed = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield ONE
        await is_removed.wait()
        yield b"end"

    writing = asyncio.create_task(
        objects.write(object_key(TICKETS, Area.WORK, "a"), slow(), size=None, only_create=False)
    )
    await until(lambda: objects.usage().get(TICKETS))
    await objects.remove_batch(TICKETS)
    is_removed.set()
    with pytest.raises(BatchGoneError):
        await writing
    assert (files_below(tmp_path), objects.usage()) == ([], {})
    objects.close()


async def test_many_who_write_at_once_do_not_pass_the_limit_together(bench: Bench, tmp_path: Path) -> None:
    names = [f"part-{number}" for number in range(12)]
    statuses = await asyncio.gather(*(bench.put(name, ONE[: MIB // 4]) for name in names))
    assert sorted(statuses) == [201] * 8 + [507] * 4
    assert sum((tmp_path / file).stat().st_size for file in files_below(tmp_path)) == 2 * MIB


_FULL_DISK = """
mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" -c '
import asyncio, sys
from pathlib import Path
from llmbatch_contract.errors import StoreFullError
from llmbatch_operator.coordinator.ledger import Limits
from llmbatch_operator.coordinator.names import object_key
from llmbatch_operator.coordinator.objects import Objects

async def blocks(count):
    for _ in range(count):
        yield b"x" * 100_000

async def main():
    objects = await Objects.open(Path(sys.argv[1]), Limits(1 << 30, 1 << 30, 0))
    try:
        await objects.write(object_key("u", "work", "a"), blocks(20), size=None, only_create=False)
    except StoreFullError as error:
        print(error, objects.usage())
    await objects.write(object_key("u", "work", "a"), blocks(5), size=None, only_create=False)
    print(objects.usage())

asyncio.run(main())
' "$1"
"""
_UNSHARE = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]


def _may_mount() -> bool:
    command = [*_UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False, timeout=10).returncode == 0


@pytest.mark.skipif(not _may_mount(), reason="needs the right to mount in a namespace of its own")
def test_a_full_volume_is_a_full_store_and_leaves_room_for_less(tmp_path: Path) -> None:
    command = [*_UNSHARE, "sh", "-c", _FULL_DISK, "sh", str(tmp_path), sys.executable]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=env)
    first, second = done.stdout.splitlines()
    assert "the volume of the built-in store is full" in first
    assert first.endswith("{'u': 0}")
    assert second == "{'u': 500000}"


async def test_a_folder_that_is_of_no_use_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot use the folder"):
        await Objects.open(tmp_path / "file", TIGHT)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (700, "700 bytes"),
        (1 << 20, "1 MiB"),
        (3 << 29, "1.5 GiB"),
        (9 << 30, "9 GiB"),
        (1 << 52, "4096 TiB"),
    ],
)
def test_sizes_are_readable(size: int, text: str) -> None:
    assert readable_bytes(size) == text


# The ledger


_STEPS = st.lists(
    st.tuples(st.sampled_from(["reserve", "grow", "settle", "release", "forget", "recount"]), st.integers(0, 60)),
    max_size=60,
)


@given(_STEPS, st.sampled_from(Area))
def test_the_ledger_never_passes_a_limit_and_adds_up(steps: list[tuple[str, int]], area: Area) -> None:
    ledger = Ledger(Limits(batch=100, total=150, output_reserve=20))
    running = []
    for step, number in steps:
        uid = f"uid-{number % 3}"
        try:
            match step:
                case "reserve":
                    running.append(ledger.reserve(uid, area, number))
                case "grow" if running:
                    running[-1].grow_to(running[-1].size + number)
                case "settle" if running:
                    ended = running.pop(0)
                    ended.settle(ended.size, 0)
                case "release" if running:
                    running.pop(0).release()
                case "forget":
                    ledger.forget(uid)
                case "recount":
                    ledger.set_stored(uid, {Area.WORK: 0, Area.OUTPUT: 0})
        except StoreFullError:
            pass
        usage = ledger.usage()
        assert all(0 <= used <= (100 if area is Area.WORK else 170) for used in usage.values())
        assert sum(usage.values()) == ledger.total <= (150 if area is Area.WORK else 170)
