"""The store behind the calls: what is written is there, whole, once, and after a restart."""

import asyncio
import contextlib
import logging
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.coordinator_bench import MIB, POD_A, TICKETS, Bench, files_below, serving, signed, trusting, until
from llmbatch_contract.wire import ERROR_KIND
from llmbatch_operator.coordinator.names import is_object_name
from llmbatch_operator.coordinator.objects import BLOCK_BYTES
from llmbatch_operator.coordinator.ranges import RangeError, span

LARGE = os.urandom(3 * BLOCK_BYTES + 17)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with serving(tmp_path) as bench:
        yield bench


# Reading and writing


@pytest.mark.parametrize(
    "data", [pytest.param(b"", id="empty"), pytest.param(b"abc", id="small"), pytest.param(LARGE, id="several blocks")]
)
async def test_what_is_written_is_read(bench: Bench, data: bytes) -> None:
    assert await bench.put("shards/00001/part", data) == 201
    assert await bench.get("shards/00001/part") == data
    head = await bench.call("HEAD", "/v1/objects/work/shards/00001/part")
    assert (head.status_code, int(head.headers["content-length"]), head.content) == (200, len(data), b"")


async def test_an_object_can_be_replaced_and_then_has_another_etag(bench: Bench) -> None:
    etags = set()
    for text in (b"one", b"two", b"two"):
        await bench.put("plan.json", text)
        etags.add((await bench.call("HEAD", "/v1/objects/work/plan.json")).headers["etag"])
        assert await bench.get("plan.json") == text
    assert len(etags) == 3


async def test_areas_are_apart(bench: Bench) -> None:
    await bench.put("plan.json", b"work")
    await bench.put("plan.json", b"output", area="output")
    assert (await bench.get("plan.json"), await bench.get("plan.json", area="output")) == (b"work", b"output")


async def test_a_missing_object_is_missing(bench: Bench) -> None:
    await bench.put("shards/00001/part", b"")
    for name in ("plan.json", "shards", "shards/00001", "shards/00001/part/deeper"):
        response = await bench.call("GET", f"/v1/objects/work/{name}")
        assert (response.status_code, response.headers[ERROR_KIND]) == (404, "StoreMissingError")


async def test_names_are_listed_sorted_below_a_folder(bench: Bench) -> None:
    names = ["plan.json", "shards/00001/a", "shards/00001/b", "shards/000012", "shards/00002/c"]
    for name in reversed(names):
        await bench.put(name, b"x")
    assert await bench.names() == names
    assert await bench.names("shards/00001/") == await bench.names("shards/00001") == names[1:3]
    assert await bench.names("shards/00003/") == await bench.names("plan.json/") == []


@pytest.mark.parametrize("only_create", [True, False], ids=["creating", "replacing"])
async def test_one_name_is_not_both_an_object_and_a_folder(bench: Bench, only_create: bool) -> None:
    await bench.put("a/b", b"x")
    for name in ("a", "a/b/c"):
        assert await bench.put(name, b"y", create=only_create) == 400
    assert await bench.names() == ["a/b"]


# Creating


@pytest.mark.parametrize("data", [pytest.param(b"small", id="small"), pytest.param(LARGE, id="large")])
async def test_of_many_who_create_an_object_exactly_one_wins(bench: Bench, data: bytes) -> None:
    contents = [b"%d " % number + data for number in range(8)]
    statuses = await asyncio.gather(*(bench.put("claim-0001", each, create=True) for each in contents))
    assert sorted(statuses) == [201] + [412] * 7
    assert await bench.get("claim-0001") == contents[statuses.index(201)]


async def test_what_was_created_is_not_overwritten_by_creating_it_again(bench: Bench) -> None:
    assert await bench.put("claim-0001", b"first", create=True) == 201
    response = await bench.call("PUT", "/v1/objects/work/claim-0001", headers={"If-None-Match": "*"}, content=b"second")
    assert (response.status_code, response.headers[ERROR_KIND]) == (412, "StoreError")
    assert await bench.get("claim-0001") == b"first"


# Uploads that do not end well


@asynccontextmanager
async def half_an_upload(bench: Bench, headers: str) -> AsyncIterator[None]:
    """Begin to write `broken`, send a part of it; at the end hang up."""
    context = trusting(bench.authority)
    _, writer = await asyncio.open_connection("127.0.0.1", bench.port, ssl=context, server_hostname="localhost")
    writer.write(f"PUT /v1/objects/work/broken HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {POD_A}\r\n".encode())
    writer.write(headers.encode() + b"\r\n\r\n")
    writer.write(b"%x\r\n" % len(LARGE) + LARGE + b"\r\n")
    await writer.drain()
    await until(lambda: bench.objects.usage().get(TICKETS, 0) > len(LARGE) // 2)
    try:
        yield
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param("Content-Length: 9999999", id="of known size"),
        pytest.param("Transfer-Encoding: chunked", id="chunked"),
    ],
)
async def test_a_broken_upload_leaves_nothing(
    bench: Bench, tmp_path: Path, headers: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with half_an_upload(bench, headers):
        pass
    await until(lambda: bench.objects.usage()[TICKETS] == 0)
    await until(lambda: not files_below(tmp_path))
    assert await bench.get("broken") == 404
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_broken_upload_leaves_the_older_object(bench: Bench) -> None:
    await bench.put("broken", b"whole")
    async with half_an_upload(bench, "Transfer-Encoding: chunked"):
        pass
    await until(lambda: bench.objects.usage()[TICKETS] == 5)
    assert await bench.get("broken") == b"whole"


async def test_a_reader_of_an_object_that_is_replaced_gets_the_older_one_whole(bench: Bench) -> None:
    data = os.urandom(20 * MIB)
    await bench.put("large", data)
    async with bench.client.stream(
        "GET", "/v1/objects/work/large", headers={"Authorization": f"Bearer {POD_A}"}
    ) as response:
        await bench.put("large", b"new")
        assert await response.aread() == data
    assert await bench.get("large") == b"new"


# Restarts


async def test_a_restart_keeps_everything_but_what_was_half_written(tmp_path: Path) -> None:
    async with serving(tmp_path) as bench:
        await bench.put("shards/00001/part", LARGE)
        await bench.put("results.jsonl", b"{}\n", area="output")
        etag = (await bench.call("HEAD", "/v1/objects/work/shards/00001/part")).headers["etag"]
        usage = bench.objects.usage()
        (tmp_path / "incoming" / "0123").write_bytes(b"half")
    async with serving(tmp_path) as bench:
        assert bench.objects.usage() == usage == {TICKETS: len(LARGE) + 3}
        assert await bench.get("shards/00001/part") == LARGE
        assert (await bench.call("HEAD", "/v1/objects/work/shards/00001/part")).headers["etag"] == etag
        assert await bench.put("shards/00001/part", b"", create=True) == 412
        # What was refused just now is removed by a thread, a moment later.
        await until(lambda: not list((tmp_path / "incoming").iterdir()))


async def test_an_upload_that_runs_when_the_server_closes_ends_soon(tmp_path: Path) -> None:
    async with serving(tmp_path) as bench, half_an_upload(bench, "Content-Length: 9999999"):
        async with asyncio.timeout(4):
            await bench.server.close()
        await until(lambda: not files_below(tmp_path))


# Ranges and versions


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        pytest.param("bytes=2-4", 206, b"cde", id="from to"),
        pytest.param("bytes=7-", 206, b"hij", id="from"),
        pytest.param("bytes=-2", 206, b"ij", id="the last"),
        pytest.param("bytes=8-99", 206, b"ij", id="beyond the end"),
        pytest.param("bytes=0-0", 206, b"a", id="one byte"),
        pytest.param("bytes=10-", 416, None, id="after the end"),
        pytest.param("bytes=-0", 416, None, id="the last none"),
        pytest.param("bytes=4-2", 200, b"abcdefghij", id="backwards"),
        pytest.param("bytes=0-1,3-4", 200, b"abcdefghij", id="two ranges"),
        pytest.param("lines=1-2", 200, b"abcdefghij", id="another unit"),
    ],
)
async def test_ranges_are_kept_to(bench: Bench, asked: str, status: int, expected: bytes | None) -> None:
    await bench.put("letters", b"abcdefghij")
    response = await bench.call("GET", "/v1/objects/work/letters", headers={"Range": asked})
    assert response.status_code == status
    assert expected is None or response.content == expected
    if status == 416:
        assert response.headers["content-range"] == "bytes */10"


async def test_a_range_of_many_blocks_is_that_range(bench: Bench) -> None:
    await bench.put("large", LARGE)
    response = await bench.call("GET", "/v1/objects/work/large", headers={"Range": f"bytes=5-{len(LARGE) - 6}"})
    assert response.content == LARGE[5:-5]
    assert response.headers["content-range"] == f"bytes 5-{len(LARGE) - 6}/{len(LARGE)}"


async def test_a_range_of_a_result_is_read(bench: Bench) -> None:
    await bench.put("results.jsonl", b"0123456789", area="output")
    path = signed("team-a", "tickets", "results.jsonl", TICKETS)
    assert (await bench.call("GET", path, token=None, headers={"Range": "bytes=3-5"})).content == b"345"


async def test_an_object_that_has_changed_is_not_read_as_the_older_one(bench: Bench) -> None:
    await bench.put("input", b"one")
    etag = (await bench.call("HEAD", "/v1/objects/work/input")).headers["etag"]
    asked = {"If-Match": etag, "Range": "bytes=0-0"}
    assert (await bench.call("GET", "/v1/objects/work/input", headers=asked)).content == b"o"
    await bench.put("input", b"two")
    response = await bench.call("GET", "/v1/objects/work/input", headers=asked)
    assert (response.status_code, response.headers[ERROR_KIND]) == (412, "InputChangedError")


@given(st.one_of(st.from_regex(r"bytes=\d{0,3}-\d{0,3}", fullmatch=True), st.text()), st.integers(0, 200))
def test_a_span_lies_within_the_object(header: str, size: int) -> None:
    try:
        found = span(header, size)
    except RangeError:
        return
    assert 0 <= found.start <= found.end <= size
    assert found.is_part or (found.start, found.end) == (0, size)


@given(st.one_of(st.text(), st.from_regex(r"[./a]{1,12}", fullmatch=True)))
def test_a_name_that_is_allowed_stays_in_its_folder(name: str) -> None:
    if is_object_name(name):
        folder = Path("/store/uid/work")
        path = Path(os.path.normpath(folder / name))
        assert path.is_relative_to(folder)
        assert str(path.relative_to(folder)) == name


@pytest.mark.parametrize(
    "name",
    ["plan.json", "shards/00001/part-0001-00002.jsonl", "..a", "a..b", ".hidden", "a" * 200, "/".join(["ab"] * 150)],
)
def test_ordinary_names_are_allowed(name: str) -> None:
    assert is_object_name(name)


@pytest.mark.parametrize(
    "name", ["", "/", "a/", "/a", "a//b", ".", "a/../b", "a b", "ä", "a\n", "a" * 201, "a/" * 250 + "a"]
)
def test_other_names_are_not(name: str) -> None:
    assert not is_object_name(name)
