"""Object stores in bad times: errors, timeouts and resets at every step of a call, through a proxy before moto."""

import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import TypeVar

import pytest

from fault_proxy import (
    Fault,
    FaultProxy,
    access_denied,
    cut,
    expired_token,
    hang,
    internal_error,
    lost_answer,
    removal_denied,
    reset,
    slow_down,
    status,
)
from llmbatch_contract.errors import (
    InputError,
    StoreAwayError,
    StoreDeniedError,
    StoreError,
    StoreFullError,
    StoreMissingError,
)
from llmbatch_worker.stores.protocol import Store
from llmbatch_worker.stores.troubles import Troubles
from s3_servers import Bucket

pytest_plugins = ["s3_fixture"]

T = TypeVar("T")

BIG = bytes(range(256)) * (80 << 10)
"""20 MiB: three parts."""
_PASSING = [
    pytest.param(internal_error(), id="500"),
    pytest.param(slow_down(), id="slow down"),
    pytest.param(reset(), id="reset"),
    pytest.param(lost_answer(), id="lost answer"),
    pytest.param(hang(20), id="no answer in time"),
]


@pytest.fixture
def proxy(moto_s3: Bucket, fault_proxy: Callable[[Bucket], FaultProxy]) -> FaultProxy:
    return fault_proxy(moto_s3)


@pytest.fixture
def store(proxy: FaultProxy) -> Store:
    return proxy.bucket.store("out")


def _put(store: Store) -> None:
    store.put("a", b"1")


@pytest.mark.parametrize("fault", _PASSING)
@pytest.mark.parametrize(
    ("method", "operation", "result"),
    [
        pytest.param("GET", lambda s: s.read("there"), b"hello", id="read"),
        pytest.param("HEAD", lambda s: s.info("there").size, 5, id="info"),
        pytest.param("HEAD", lambda s: s.exists("there"), True, id="exists"),
        pytest.param("GET", lambda s: b"".join(s.blocks("there", 1, 4)), b"ell", id="blocks"),
        pytest.param("GET", lambda s: s.names(""), ["there"], id="names"),
        pytest.param("PUT", _put, None, id="put"),
        pytest.param("PUT", lambda s: s.create("a", b"1"), True, id="create"),
        pytest.param("POST", lambda s: s.remove(["there"]), None, id="remove"),
    ],
)
def test_what_passes_is_waited_for(
    moto_s3: Bucket,
    proxy: FaultProxy,
    store: Store,
    fault: Fault,
    method: str,
    operation: Callable[[Store], object],
    result: object,
) -> None:
    moto_s3.put("out/there", b"hello")
    proxy.add(fault, method=method)
    assert operation(store) == result
    assert proxy.count(method) == 2


def test_an_object_whose_creation_was_done_but_not_answered_was_created(proxy: FaultProxy, store: Store) -> None:
    proxy.add(lost_answer(), method="PUT")
    assert store.create("claim", b"mine")
    assert not store.create("claim", b"mine")
    assert store.read("claim") == b"mine"


def test_an_object_of_somebody_else_was_not_created_by_a_try_that_was_lost(
    moto_s3: Bucket, proxy: FaultProxy, store: Store
) -> None:
    moto_s3.put("out/claim", b"yours")
    proxy.add(lost_answer(), method="PUT")
    assert not store.create("claim", b"mine")
    assert store.read("claim") == b"yours"


def test_a_conflict_of_two_that_create_at_once_is_tried_again(proxy: FaultProxy, store: Store) -> None:
    proxy.add(status(409, "ConditionalRequestConflict"), method="PUT")
    assert store.create("claim", b"mine")
    assert store.read("claim") == b"mine"


def test_a_body_that_breaks_is_read_again(moto_s3: Bucket, proxy: FaultProxy, store: Store) -> None:
    moto_s3.put("out/big", BIG)
    proxy.add(cut(70_000), method="GET", times=2)
    proxy.add(cut(0), method="GET", after=2)
    assert b"".join(store.blocks("big", 5, len(BIG) - 5)) == BIG[5:-5]


# Objects in many parts


def _write_big(store: Store) -> None:
    with store.writer("results.jsonl") as write:
        for start in range(0, len(BIG), 1 << 20):
            write(BIG[start : start + (1 << 20)])


_STEPS = [
    pytest.param("POST", "uploads", id="its beginning"),
    pytest.param("PUT", "partNumber=2", id="a part"),
    pytest.param("POST", "uploadId", id="its end"),
]


@pytest.mark.parametrize("fault", _PASSING)
@pytest.mark.parametrize(("method", "query"), _STEPS)
def test_an_upload_survives_what_passes(
    moto_s3: Bucket, proxy: FaultProxy, store: Store, fault: Fault, method: str, query: str
) -> None:
    proxy.add(fault, method=method, query=query)
    _write_big(store)
    assert moto_s3.get("out/results.jsonl") == BIG
    assert moto_s3.names() == ["out/results.jsonl"]


@pytest.mark.parametrize("fault", [internal_error(), access_denied(), reset()], ids=["500", "denied", "reset"])
@pytest.mark.parametrize(("method", "query"), _STEPS)
def test_an_upload_that_fails_leaves_neither_an_object_nor_parts(
    moto_s3: Bucket, proxy: FaultProxy, store: Store, fault: Fault, method: str, query: str
) -> None:
    proxy.add(fault, method=method, query=query, times=float("inf"))
    with pytest.raises(StoreError, match=r"^cannot write s3://.*/out/results\.jsonl: "):
        _write_big(store)
    assert moto_s3.names() == []
    assert moto_s3.uploads() == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, InputError])
def test_an_error_inside_leaves_neither_an_object_nor_parts(s3: Bucket, error: type[BaseException]) -> None:
    with pytest.raises(error), s3.store("out").writer("results.jsonl") as write:
        for _ in range(20):
            write(b"x" * (1 << 20))
        raise error
    assert s3.names() == []
    assert s3.uploads() == []


def test_an_upload_that_was_ended_without_an_answer_is_there(
    versitygw: Bucket, fault_proxy: Callable[[Bucket], FaultProxy]
) -> None:
    """versitygw does not know an upload any more that has ended."""
    proxy = fault_proxy(versitygw)
    proxy.add(lost_answer(), method="POST", query="uploadId")
    _write_big(proxy.bucket.store("out"))
    assert versitygw.get("out/results.jsonl") == BIG
    assert versitygw.uploads() == []


# Refusals


@pytest.mark.parametrize(
    ("operation", "method", "permission"),
    [
        pytest.param(lambda s: s.read("a"), "GET", "s3:GetObject", id="read"),
        pytest.param(lambda s: s.info("a"), "*", "s3:GetObject", id="info"),
        pytest.param(lambda s: s.exists("a"), "*", "s3:GetObject", id="exists"),
        pytest.param(lambda s: list(s.blocks("a", 0, 1)), "GET", "s3:GetObject", id="blocks"),
        pytest.param(lambda s: s.names("shards/"), "GET", "s3:ListBucket", id="names"),
        pytest.param(_put, "PUT", "s3:PutObject", id="put"),
        pytest.param(lambda s: s.create("a", b""), "PUT", "s3:PutObject", id="create"),
        pytest.param(_write_big, "POST", "s3:AbortMultipartUpload", id="writer"),
        pytest.param(lambda s: s.remove(["a"]), "POST", "s3:DeleteObject", id="remove"),
    ],
)
def test_a_refusal_names_the_permission_at_once(
    proxy: FaultProxy, store: Store, operation: Callable[[Store], object], method: str, permission: str
) -> None:
    proxy.add(access_denied(), method=method, times=float("inf"))
    started = time.monotonic()
    with pytest.raises(StoreDeniedError) as caught:
        operation(store)
    assert time.monotonic() - started < 5
    assert permission in str(caught.value)
    assert "permission denied (AccessDenied, Access Denied)" in str(caught.value)


def test_a_refusal_to_remove_is_told_at_once_also_where_others_are_waited_for(proxy: FaultProxy) -> None:
    proxy.add(removal_denied(), method="POST", query="delete", times=float("inf"))
    store = proxy.bucket.store("out", Troubles(is_patient=True))
    store.put("a", b"1")
    with pytest.raises(StoreDeniedError, match=r"s3:DeleteObject"):
        store.remove(["a"])
    assert store.exists("a")


def test_keys_that_have_expired_are_read_again_before_anybody_is_told(proxy: FaultProxy, store: Store) -> None:
    bucket = proxy.bucket
    store = bucket.store("out")
    store.put("a", b"1")
    proxy.keys = {"NEWKEYID"}
    bucket.keys["AWS_ACCESS_KEY_ID"] = "NEWKEYID"
    assert store.read("a") == b"1"


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(lambda s: s.read("there"), id="read"),
        pytest.param(lambda s: s.info("there"), id="info"),
        pytest.param(lambda s: s.names(""), id="names"),
        pytest.param(_put, id="put"),
        pytest.param(lambda s: s.create("a", b"1"), id="create"),
    ],
)
def test_keys_that_are_renewed_heal_a_call_that_waits(
    moto_s3: Bucket, proxy: FaultProxy, operation: Callable[[Store], object]
) -> None:
    moto_s3.put("out/there", b"hello")
    bucket, troubles = proxy.bucket, Troubles(is_patient=True)
    store = bucket.store("out", troubles)
    proxy.keys = {"NEWKEYID"}
    with _doing(lambda: operation(store)):
        trouble = _until(troubles.now)
        assert (trouble.kind, "have expired; renew AWS_ACCESS_KEY_ID" in trouble.message) == ("denied", True)
        bucket.keys["AWS_ACCESS_KEY_ID"] = "NEWKEYID"
    assert troubles.now() is None


def test_an_upload_begun_with_old_keys_goes_on_with_new_ones(
    moto_s3: Bucket, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmbatch_worker.stores.clients._REREAD_S", 0.0)
    monkeypatch.setattr("llmbatch_worker.stores.clients._AS_LONG_AS_OBSTORE_KEEPS", timedelta(seconds=301))
    bucket = proxy.bucket
    with bucket.store("out").writer("results.jsonl") as write:
        write(BIG)
        proxy.wait_for("PUT", query="partNumber=2")
        bucket.keys["AWS_ACCESS_KEY_ID"] = "NEWKEYID"
        time.sleep(1.1)  # obstore keeps keys for a second at least
        proxy.keys = {"NEWKEYID"}
        write(BIG)
    assert moto_s3.get("out/results.jsonl") == BIG + BIG


# Patience


def test_without_a_plan_a_store_that_is_away_is_given_up_soon(proxy: FaultProxy) -> None:
    proxy.is_down = True
    store = proxy.bucket.store("out", Troubles(brief_s=1))
    with pytest.raises(StoreAwayError, match=r"the connection broke|is not to be reached"):
        store.read("a")


@pytest.mark.parametrize("seed", range(20))
def test_without_a_plan_half_a_minute_of_trouble_is_waited_out(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    troubles, now = Troubles(), 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def attempt() -> str:
        if now < 30:
            raise StoreAwayError("the store asks to slow down")
        return "done"

    random.seed(seed)
    monkeypatch.setattr("llmbatch_worker.stores.troubles.time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(troubles._patience, "sleep", sleep)
    assert troubles.patiently(attempt) == "done"
    assert now < 45


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        pytest.param(internal_error(), "away", id="away"),
        pytest.param(access_denied(), "denied", id="denied"),
        pytest.param(expired_token(), "denied", id="expired"),
        pytest.param(status(507, "EntityStorageFull"), "full", id="full"),
    ],
)
def test_with_a_plan_everything_is_waited_for_and_told(proxy: FaultProxy, fault: Fault, kind: str) -> None:
    troubles = Troubles(is_patient=True, brief_s=0)
    proxy.add(fault, method="PUT", times=float("inf"))
    with _doing(lambda: proxy.bucket.store("out", troubles).put("a", b"1")):
        trouble = _until(troubles.now)
        assert trouble.kind == kind
        assert trouble.message.startswith(f"cannot write {proxy.bucket.uri('out/a')}: ")
        proxy.wait_for("PUT", times=3)
        assert _until(troubles.now).for_s > 0
        proxy.clear()
    assert troubles.now() is None


def test_patience_ends_when_the_process_has_to(proxy: FaultProxy) -> None:
    troubles, ended = Troubles(is_patient=True), list[BaseException]()
    proxy.is_down = True

    def wait() -> None:
        with pytest.raises(StoreAwayError) as caught:
            proxy.bucket.store("out", troubles).put("a", b"1")
        ended.append(caught.value)

    with _doing(wait):
        _until(troubles.now)
        troubles.end_in(0.2)
    assert ended


def test_a_call_waits_no_longer_than_the_limit(proxy: FaultProxy) -> None:
    troubles = Troubles(is_patient=True)
    troubles.limit_s = 0.5
    proxy.add(status(507, "EntityStorageFull"), times=float("inf"))
    started = time.monotonic()
    with pytest.raises(StoreFullError):
        proxy.bucket.store("out", troubles).put("a", b"1")
    assert time.monotonic() - started < 5


# Places that are not there


def test_a_bucket_that_is_not_there_is_no_missing_object(moto_s3: Bucket) -> None:
    stores = moto_s3.stores()
    for operation in (
        lambda: stores.open("s3://not-there/out").put("a", b"1"),
        lambda: stores.open("s3://not-there/out").info("a"),
        lambda: stores.open("s3://not-there/out").names(""),
        lambda: list(stores.find_inputs("s3://not-there/a.csv")),
        lambda: list(stores.find_inputs("s3://not-there/a*.csv")),
    ):
        with pytest.raises(StoreMissingError, match=r"there is no bucket not-there at 127\.0\.0\.1:"):
            operation()


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        pytest.param(
            status(400, "AuthorizationHeaderMalformed", "the region 'a' is wrong; expecting 'eu-west-1'"),
            "the bucket is in the region eu-west-1; set store.region",
            id="another region",
        ),
        pytest.param(status(301), "set store.region or store.endpoint", id="another region, without a word"),
        pytest.param(
            status(403, "RequestTimeTooSkewed", "The difference is too large"), "the clock of this machine", id="clock"
        ),
        pytest.param(
            status(403, "InvalidAccessKeyId", "The key TESTACCESSKEYID does not exist"),
            "does not know this access key",
            id="an unknown key",
        ),
        pytest.param(
            status(403, "SignatureDoesNotMatch", "x"), "the secret key does not fit the access key", id="a wrong key"
        ),
    ],
)
def test_a_wrong_setting_says_what_to_set(proxy: FaultProxy, store: Store, fault: Fault, sentence: str) -> None:
    proxy.add(fault, times=float("inf"))
    with pytest.raises(StoreError) as caught:
        store.info("a")
    assert sentence in str(caught.value)


class _Doing:
    """Something that goes on beside the test and has to end with the block."""

    def __init__(self, operation: Callable[[], object]) -> None:
        self._error: BaseException | None = None
        self._operation = operation
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self._operation()
        except BaseException as error:  # noqa: BLE001  # raised again where the test sees it
            self._error = error

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error


def _doing(operation: Callable[[], object]) -> _Doing:
    return _Doing(operation)


def _until(look: Callable[[], T | None]) -> T:
    ends_at = time.monotonic() + 10
    while (found := look()) is None:
        assert time.monotonic() < ends_at
        time.sleep(0.01)
    return found
