"""What every store promises: folders, volumes, a small coordinator of the tests, the operator's own, S3 servers."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coordinator.coordinator_bench import POD_A, Bench, serving
from llmbatch_contract import wire
from llmbatch_contract.errors import InputChangedError, InputError, StoreError, StoreMissingError
from llmbatch_contract.pods import WORK_URI
from llmbatch_worker.channel import Channel
from llmbatch_worker.stores.local import LocalStore
from llmbatch_worker.stores.protocol import Store
from llmbatch_worker.stores.remote import CoordinatorStore
from llmbatch_worker.stores.troubles import Troubles
from llmbatch_worker.stores.volumes import VolumeStore
from s3_servers import new_bucket
from worker.object_server import TOKEN, ObjectServer

pytest_plugins = ["s3_fixture"]

_COORDINATORS = ["small coordinator", "operator's coordinator"]
_KINDS = ["folder", "volume", *_COORDINATORS, "moto", "versitygw"]


@contextlib.contextmanager
def _store_at(url: str, ca: str, token: str, folder: Path) -> Iterator[CoordinatorStore]:
    (folder / "token").write_text(f"{token}\n")
    channel = Channel(url, ca, folder / "token")
    try:
        yield CoordinatorStore(channel, WORK_URI, f"{wire.OBJECTS}/work")
    finally:
        channel.close()


@contextlib.contextmanager
def _serving_in_a_thread(folder: Path) -> Iterator[Bench]:
    """The operator's coordinator beside a test that blocks."""
    ready, found, closing = threading.Event(), list[tuple[Bench, asyncio.AbstractEventLoop]](), asyncio.Event()

    async def serve() -> None:
        async with serving(folder) as bench:
            found.append((bench, asyncio.get_running_loop()))
            ready.set()
            await closing.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    bench, loop = found[0]
    try:
        yield bench
    finally:
        loop.call_soon_threadsafe(closing.set)
        thread.join(10)


@pytest.fixture(params=_KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with contextlib.ExitStack() as stack:
        match request.param:
            case "folder":
                yield LocalStore((tmp_path / "store").as_uri())
            case "volume":
                (tmp_path / "volume").mkdir()
                yield VolumeStore("data", "a/store", tmp_path / "volume", Troubles())
            case "moto" | "versitygw":
                url = request.getfixturevalue(f"{request.param}_url")
                yield stack.enter_context(new_bucket(url)).store("a/store")
            case "small coordinator":
                server = stack.enter_context(ObjectServer())
                yield stack.enter_context(_store_at(server.url, "", TOKEN, tmp_path))
            case _:
                bench = stack.enter_context(_serving_in_a_thread(tmp_path / "volume"))
                ca, url = bench.authority.certificate_pem.decode(), f"https://localhost:{bench.port}"
                yield stack.enter_context(_store_at(url, ca, POD_A, tmp_path))


def test_what_is_put_is_read_and_put_again_replaces_it(store: Store) -> None:
    store.put("a/b", b"one")
    assert store.read("a/b") == b"one"
    store.put("a/b", b"")
    assert (store.read("a/b"), store.info("a/b").size) == (b"", 0)


def test_names_are_listed_sorted_below_their_prefix(store: Store) -> None:
    for name in ("shards/00002/b", "shards/00001/z", "shards/00001/a", "plan.json"):
        store.put(name, b"x")
    assert store.names("shards/00001/") == ["shards/00001/a", "shards/00001/z"]
    assert store.names("") == ["plan.json", "shards/00001/a", "shards/00001/z", "shards/00002/b"]
    assert store.names("shards/00003/") == []


def test_only_the_first_creates_an_object(store: Store) -> None:
    assert store.create("claim", b"mine")
    assert not store.create("claim", b"yours")
    assert not store.create("claim", b"mine")
    assert store.read("claim") == b"mine"


def test_an_empty_object_is_created_once_too(store: Store) -> None:
    assert store.create("shards/00000/sent-0001-00000016", b"")
    assert not store.create("shards/00000/sent-0001-00000016", b"")
    assert store.exists("shards/00000/sent-0001-00000016")


def test_of_many_that_create_the_same_object_at_once_one_succeeds(store: Store) -> None:
    start = threading.Barrier(8)

    def create(number: int) -> bool:
        start.wait(timeout=10)
        return store.create("claim", str(number).encode())

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(create, range(8)))
    assert created.count(True) == 1
    assert store.read("claim") == str(created.index(True)).encode()
    assert store.names("") == ["claim"]


@pytest.mark.parametrize(("start", "end"), [(0, 5), (1, 4), (4, 5), (2, 2)])
@pytest.mark.parametrize("with_etag", [True, False])
def test_blocks_are_the_bytes_of_the_range(store: Store, start: int, end: int, with_etag: bool) -> None:
    store.put("data", b"hello")
    etag = store.info("data").etag if with_etag else None
    assert b"".join(store.blocks("data", start, end, etag)) == b"hello"[start:end]


def test_a_large_object_is_read_in_bounded_blocks(store: Store) -> None:
    data = bytes(range(256)) * (40 << 10)
    store.put("data", data)
    blocks = list(store.blocks("data", 100, len(data), store.info("data").etag))
    assert b"".join(blocks) == data[100:]
    assert 1 << 20 <= max(map(len, blocks)) <= 8 << 20


def test_blocks_of_an_object_that_changed_are_refused(store: Store) -> None:
    store.put("data", b"hello")
    etag = store.info("data").etag
    store.put("data", b"jello")
    with pytest.raises(InputChangedError) as caught:
        list(store.blocks("data", 0, 5, etag))
    assert f"{store.where('data')} has changed since it was planned" in str(caught.value)


@pytest.mark.parametrize("with_etag", [True, False])
@pytest.mark.parametrize(("start", "end"), [(0, 9), (5, 9), (7, 9)])
def test_an_object_shorter_than_planned_has_changed(store: Store, start: int, end: int, with_etag: bool) -> None:
    store.put("data", b"hello")
    etag = store.info("data").etag if with_etag else None
    with pytest.raises(InputChangedError, match="has become shorter"):
        list(store.blocks("data", start, end, etag))


@pytest.mark.parametrize("pieces", [[], [b"a"], [b"a", b"", b"b\n"], [b"x" * (1 << 20)] * 12], ids=len)
def test_a_written_object_is_whole_and_there_only_at_the_end(store: Store, pieces: list[bytes]) -> None:
    with store.writer("out/results.jsonl") as write:
        for piece in pieces:
            write(piece)
        assert not store.exists("out/results.jsonl")
        assert store.names("") == []
    assert store.read("out/results.jsonl") == b"".join(pieces)
    assert store.names("") == ["out/results.jsonl"]


@pytest.mark.parametrize("megabytes", [0, 12])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, InputError])
def test_an_error_inside_leaves_the_older_object_as_it_was(
    store: Store, error: type[BaseException], megabytes: int
) -> None:
    store.put("results.jsonl", b"old")
    with pytest.raises(error), store.writer("results.jsonl") as write:
        for _ in range(megabytes):
            write(b"x" * (1 << 20))
        raise error
    assert store.read("results.jsonl") == b"old"
    with store.writer("results.jsonl") as write:
        write(b"whole")
    assert store.read("results.jsonl") == b"whole"
    assert store.names("") == ["results.jsonl"]


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(lambda s: s.read("a/b"), id="read"),
        pytest.param(lambda s: s.info("a/b"), id="info"),
        pytest.param(lambda s: list(s.blocks("a/b", 0, 4, '"etag"')), id="blocks"),
        pytest.param(lambda s: list(s.blocks("a/b", 0, 4)), id="blocks without etag"),
    ],
)
def test_a_missing_object_is_named(operation: Callable[[Store], object], store: Store) -> None:
    assert not store.exists("a/b")
    with pytest.raises(StoreMissingError) as caught:
        operation(store)
    assert str(caught.value).startswith(f"cannot read {store.where('a/b')}: there is no such ")


def test_what_is_removed_is_gone_and_what_is_not_there_is_passed_over(
    store: Store, request: pytest.FixtureRequest
) -> None:
    for name in ("a/1", "a/2", "b"):
        store.put(name, b"x")
    if request.node.callspec.params["store"] in _COORDINATORS:
        with pytest.raises(StoreError, match="go with their batch"):
            store.remove(["a/1"])
        return
    store.remove(["a/1", "nothing/there", "b"])
    store.remove([])
    assert store.names("") == ["a/2"]
