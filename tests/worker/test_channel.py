"""The coordinator away, restarting, full, or refusing: what waits, what ends, and that nothing is done twice."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llmbatch_contract import wire
from llmbatch_contract.errors import (
    BatchGoneError,
    LLMBatchError,
    StoreAwayError,
    StoreFullError,
    StoreMissingError,
)
from llmbatch_contract.pods import WORK_URI
from llmbatch_operator.coordinator.certificates import ServerCertificate, make_authority
from llmbatch_worker import channel as channel_module
from llmbatch_worker.channel import Channel
from llmbatch_worker.stores.protocol import Store
from llmbatch_worker.stores.remote import CoordinatorStore
from worker.object_server import TOKEN, Fault, ObjectServer, later, until

LARGE = b"x" * (9 << 20)
_PASSING = [f for f in Fault if f not in (Fault.GONE, Fault.HANG)]


@pytest.fixture
def server() -> Iterator[ObjectServer]:
    with ObjectServer() as running:
        yield running


@pytest.fixture
def channel(server: ObjectServer, tmp_path: Path) -> Iterator[Channel]:
    made = _channel(server, tmp_path)
    yield made
    made.close()


@pytest.fixture
def store(channel: Channel) -> Store:
    return CoordinatorStore(channel, WORK_URI, f"{wire.OBJECTS}/work")


def _channel(server: ObjectServer, folder: Path, ca: str = "") -> Channel:
    (folder / "token").write_text(TOKEN)
    return Channel(server.url, ca, folder / "token")


def _write(store: Store, data: bytes) -> None:
    with store.writer("a") as write:
        for start in range(0, len(data), 1 << 20):
            write(data[start : start + (1 << 20)])


_OPERATIONS = [
    pytest.param(lambda s: s.read("there"), b"hello", id="read"),
    pytest.param(lambda s: b"".join(s.blocks("there", 1, 4)), b"ell", id="blocks"),
    pytest.param(lambda s: s.info("there").size, 5, id="info"),
    pytest.param(lambda s: s.names(""), ["there"], id="names"),
    pytest.param(lambda s: s.put("a", b"new"), None, id="put"),
    pytest.param(lambda s: s.create("a", b"new"), True, id="create"),
    pytest.param(lambda s: _write(s, LARGE), None, id="write"),
]


@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.UNAVAILABLE])
@pytest.mark.parametrize(("operation", "expected"), _OPERATIONS)
def test_trouble_that_passes_is_waited_for(
    server: ObjectServer, store: Store, operation: Callable[[Store], object], expected: object, fault: Fault
) -> None:
    server.objects["work/there"] = b"hello"
    server.trouble(fault, times=1)
    assert operation(store) == expected


@pytest.mark.parametrize("fault", _PASSING)
@pytest.mark.parametrize("data", [b"small", LARGE], ids=len)
def test_whatever_goes_wrong_the_object_is_whole_in_the_end(
    server: ObjectServer, store: Store, data: bytes, fault: Fault
) -> None:
    server.trouble(fault, times=2, method="PUT")
    _write(store, data)
    assert server.objects["work/a"] == data


@pytest.mark.parametrize("mine", [b"mine", b"", LARGE], ids=len)
def test_an_object_that_was_created_though_the_answer_was_lost_is_ones_own(
    server: ObjectServer, store: Store, mine: bytes
) -> None:
    server.trouble(Fault.DROP_AFTER, times=1, method="PUT")
    assert store.create("claim", mine)
    assert server.objects["work/claim"] == mine


def test_an_object_that_another_created_meanwhile_is_not_ones_own(server: ObjectServer, store: Store) -> None:
    server.objects["work/claim"] = b"theirs"
    server.trouble(Fault.DROP_BEFORE, times=1, method="PUT")
    assert not store.create("claim", b"mine")


def test_a_claim_of_the_same_content_is_anothers_when_no_answer_was_lost(server: ObjectServer, store: Store) -> None:
    server.objects["work/claim"] = b"the same"
    assert not store.create("claim", b"the same")


def test_a_batch_that_is_gone_is_not_waited_for(server: ObjectServer, store: Store) -> None:
    server.trouble(Fault.GONE)
    with pytest.raises(BatchGoneError, match="the batch was deleted"):
        store.create("a", b"")
    assert len(server.requests) == 1


def test_a_coordinator_that_hangs_is_asked_again(
    server: ObjectServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "_ANSWER_S", 0.1)
    server.objects["work/there"] = b"hello"
    server.trouble(Fault.HANG, times=1)
    assert store.read("there") == b"hello"


def test_what_is_full_is_waited_for_without_end_and_goes_on_once_there_is_room(
    server: ObjectServer, store: Store
) -> None:
    server.trouble(Fault.FULL, method="PUT")
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(store.create, "part", b"records")
        until(lambda: len(server.requests) >= 4)
        assert not writing.done()
        server.heal()
        assert writing.result(20)
    assert server.objects["work/part"] == b"records"


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        pytest.param(Fault.FULL, StoreFullError, "the store is full: batch x uses 2 GiB", id="full"),
        pytest.param(Fault.UNAVAILABLE, StoreAwayError, "the coordinator is in trouble: trouble", id="in trouble"),
        pytest.param(Fault.DROP_BEFORE, StoreAwayError, "the coordinator is not to be reached", id="away"),
    ],
)
def test_when_patience_ends_waiting_does(
    server: ObjectServer, store: Store, channel: Channel, fault: Fault, error: type[LLMBatchError], words: str
) -> None:
    server.trouble(fault)
    with later(lambda: channel.patience.end_in(0.3), after_s=0.2):
        started = time.monotonic()
        with pytest.raises(error, match=words):
            store.create("a", b"")
        assert 0.4 < time.monotonic() - started < 3


def test_after_the_end_of_patience_what_works_still_works(server: ObjectServer, store: Store, channel: Channel) -> None:
    channel.patience.end_in(0)
    assert store.create("last part", b"records")


def test_a_renewed_token_is_read_anew(server: ObjectServer, store: Store, tmp_path: Path) -> None:
    store.put("a", b"1")
    server.token = "renewed"

    def renew() -> None:
        (tmp_path / "new").write_text("renewed\n")
        (tmp_path / "new").replace(tmp_path / "token")

    with later(renew, after_s=0.3):
        store.put("a", b"2")
    assert server.objects["work/a"] == b"2"


def test_a_token_that_is_refused_for_long_is_an_error(
    server: ObjectServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "_REFUSED_S", 0.3)
    server.token = "another"
    with pytest.raises(StoreAwayError, match="the coordinator refuses this pod: the token is not valid"):
        store.put("a", b"")
    assert len(server.requests) > 1


def test_a_refusal_after_a_long_wait_is_waited_out_like_any_other(
    server: ObjectServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The coordinator was away for longer than refusals are borne; then it does not know the pod at once."""
    monkeypatch.setattr(channel_module, "_REFUSED_S", 2.0)
    server.trouble(Fault.UNAVAILABLE)

    def come_back() -> None:
        server.token = "another"
        server.heal()
        until(lambda: len(server.requests) > 0)

    def know_the_pod() -> None:
        server.token = TOKEN

    with later(come_back, after_s=2.1), later(know_the_pod, after_s=3.0):
        store.put("a", b"1")
    assert server.objects["work/a"] == b"1"


def test_a_token_that_is_not_there_yet_is_waited_for(server: ObjectServer, tmp_path: Path, store: Store) -> None:
    (tmp_path / "token").unlink()
    with later(lambda: (tmp_path / "token").write_text(TOKEN), after_s=0.2):
        store.put("a", b"1")


def test_a_refusal_is_told_in_the_coordinators_words(server: ObjectServer, store: Store) -> None:
    server.objects["work/a"] = b"1"
    with pytest.raises(StoreMissingError, match="there is no such object"):
        store.read("b")


def test_only_a_coordinator_with_the_right_certificate_is_spoken_to(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    authority, stranger = make_authority(now), make_authority(now)
    tls = ServerCertificate(authority, ["localhost"], now).context
    with ObjectServer(tls) as server:
        good = _channel(server, tmp_path, authority.certificate_pem.decode())
        CoordinatorStore(good, WORK_URI, f"{wire.OBJECTS}/work").put("a", b"1")
        good.close()
        bad = _channel(server, tmp_path, stranger.certificate_pem.decode())
        bad.patience.end_in(0)
        with pytest.raises(StoreAwayError, match="certificate verify failed"):
            CoordinatorStore(bad, WORK_URI, f"{wire.OBJECTS}/work").put("a", b"2")
        bad.close()
    assert server.objects["work/a"] == b"1"


def test_a_proxy_of_the_endpoint_is_not_used_for_the_coordinator(
    server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    made = _channel(server, tmp_path)
    CoordinatorStore(made, WORK_URI, f"{wire.OBJECTS}/work").put("a", b"1")
    made.close()


def test_a_full_disk_of_the_pod_is_a_full_store(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full has no room for anything."""
    monkeypatch.setattr(
        "tempfile.SpooledTemporaryFile", lambda max_size: os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb", 0)
    )
    with pytest.raises(StoreFullError, match="the pod's temporary files have no room"), store.writer("a") as write:
        write(b"x")


def test_many_threads_share_a_channel(server: ObjectServer, store: Store) -> None:
    start = threading.Barrier(8)

    def work(number: int) -> bytes:
        start.wait(10)
        for part in range(10):
            assert store.create(f"shards/{number}/part-{part}", b"%d" % part)
        return b"".join(store.read(f"shards/{number}/part-{part}") for part in range(10))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [b"0123456789"] * 8
