"""Results on their way to a real receiver: at least once, in requests that are always the same, none lost."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delivering.delivery_bench import Bench
from delivering.result_receiver import HANG, KEY, RESET, Receiver
from llmbatch_contract import layout
from llmbatch_contract.errors import LLMBatchError
from llmbatch_contract.reports import StoreTrouble
from llmbatch_worker.delivering.deliverer import Delivered
from llmbatch_worker.delivering.posting import Pace
from llmbatch_worker.stores.troubles import Troubles


def _indexes_of(receiver: Receiver) -> list[int]:
    return sorted(index for got in receiver.got for index in got.indexes)


def test_all_results_arrive_in_requests_of_the_size_that_was_asked_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [n for n in range(23) if n % 5])
    with Receiver() as receiver:
        delivered = bench.go(receiver)
    assert delivered == Delivered(18, 0, 4)
    assert sorted((got.id, got.indexes) for got in receiver.got) == [
        ("the-uid-results-0", [1, 2, 3, 4, 6]),
        ("the-uid-results-1", [7, 8, 9, 11, 12]),
        ("the-uid-results-2", [13, 14, 16, 17, 18]),
        ("the-uid-results-3", [19, 21, 22]),
    ]
    assert bench.undelivered() == []
    assert not bench.output.exists("undelivered.jsonl")
    (got, *_) = receiver.got
    assert got.headers["content-type"] == "application/json"
    assert got.headers["user-agent"].startswith("llmbatch/")


def test_a_batch_without_results_posts_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [], items=10)
    with Receiver() as receiver:
        assert bench.go(receiver) == Delivered(0, 0, 0)
    assert receiver.got == []
    assert bench.working.names("") == []


def test_four_requests_are_under_way_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, list(range(100)))
    with Receiver(delay_s=0.02) as receiver:
        bench.go(receiver)
    assert receiver.most_at_once == 4
    assert bench.proven(receiver)


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408, 425, RESET])
def test_what_may_pass_is_tried_again_as_the_same_request(tmp_path: Path, status: int) -> None:
    bench = Bench(tmp_path, list(range(3)))
    with Receiver() as receiver:
        receiver.answers = [status, status]
        assert bench.go(receiver) == Delivered(3, 0, 1)
    assert [got.id for got in receiver.got] == ["the-uid-results-0"] * 3
    assert len({got.body for got in receiver.got}) == 1


def test_a_receiver_that_does_not_answer_is_asked_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, list(range(3)))
    with Receiver() as receiver:
        receiver.answers = [HANG]
        assert bench.go(receiver, pace=Pace(answer_s=0.2, speed=1000)) == Delivered(3, 0, 1)
    assert len(receiver.got) == 2


def test_a_request_is_given_up_after_ten_tries_and_the_others_arrive(tmp_path: Path) -> None:
    bench = Bench(tmp_path, list(range(20)))
    with Receiver(lambda got: 500 if got.indexes[0] == 5 else 200) as receiver:
        delivered = bench.go(receiver)
        place = receiver.url.removesuffix("/hook/s3cret")
    why = f"{place}: it answers HTTP 500; 10 tries"
    assert delivered == Delivered(15, 5, 4, why)
    assert sum(got.indexes[0] == 5 for got in receiver.got) == 10
    assert bench.undelivered()[0] == {
        "id": "id-5",
        "index": 5,
        "error": {"message": why, "status": 500},
        "request": 1,
        "record": {"id": "id-5", "index": 5, "output": "x"},
    }
    assert bench.proven(receiver)


def test_a_request_that_is_tried_again_and_again_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(tmp_path, list(range(3)))
    with Receiver() as receiver:
        receiver.answers = [503, 503]
        bench.go(receiver)
        assert caplog.text == "", "a moment's trouble"
        receiver.answers = [503] * 5
        (tmp_path / "second").mkdir()
        Bench(tmp_path / "second", list(range(3))).go(receiver)
        place = receiver.url.removesuffix("/hook/s3cret")
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 1
    assert told[0].startswith(f"{place}: it answers HTTP 503; tries again in ")


def test_a_receiver_that_is_away_is_a_trouble_until_it_takes_what_it_is_given(tmp_path: Path) -> None:
    bench, troubles = Bench(tmp_path, list(range(3))), Troubles()
    seen: list[StoreTrouble | None] = []

    @contextmanager
    def waiting_for(error: LLMBatchError) -> Iterator[None]:
        with troubles.waiting_for(error):
            seen.append(troubles.now())
            yield

    with Receiver() as receiver:
        receiver.answers = [503] * 5
        delivered = bench.go(receiver, waiting_for=waiting_for)
        place = receiver.url.removesuffix("/hook/s3cret")
    assert delivered.undelivered == 0
    assert {(s.kind, s.message) for s in seen if s is not None} == {("receiver", f"{place}: it answers HTTP 503")}
    assert troubles.now() is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 302])
def test_a_refusal_is_not_repeated(tmp_path: Path, status: int) -> None:
    bench = Bench(tmp_path, list(range(10)))
    with Receiver() as receiver:
        receiver.headers["location"] = receiver.url
        receiver.answers = [lambda got: status if got.indexes[0] == 0 else 200] * 2
        delivered = bench.go(receiver)
    assert (delivered.delivered, delivered.undelivered) == (5, 5)
    assert _indexes_of(receiver) == list(range(10)), "each once"
    assert f"HTTP {status}" in bench.undelivered()[0]["error"]["message"]


def test_gone_ends_it_and_the_rest_is_undelivered(tmp_path: Path) -> None:
    bench = Bench(tmp_path, list(range(500)), items=503)
    with Receiver(lambda got: 410 if got.indexes[0] >= 100 else 200) as receiver:
        delivered = bench.go(receiver)
    assert delivered.delivered == 100
    assert delivered.undelivered == 400
    assert len(receiver.got) < 30
    assert "HTTP 410" in bench.undelivered()[0]["error"]["message"]
    last = bench.undelivered()[-1]
    assert last["error"]["message"].startswith("not posted: http://127.0.0.1")
    assert (last["request"], last["index"]) == (None, 499)
    assert bench.proven(receiver)
    assert delivered.requests == max(row["request"] or 0 for row in bench.undelivered()) + 1


def test_twenty_requests_given_up_in_a_row_end_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, list(range(1000)))
    with Receiver(lambda got: 403 if got.indexes[0] >= 50 else 200) as receiver:
        delivered = bench.go(receiver)
    assert delivered.delivered == 50
    assert 30 <= len(receiver.got) <= 34
    assert "20 requests in a row were given up, the last to http" in bench.undelivered()[-1]["error"]["message"]
    assert bench.proven(receiver)


def test_one_that_arrives_in_between_lets_it_go_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, list(range(300)))
    with Receiver(lambda got: 200 if got.indexes[0] % 50 == 0 else 403) as receiver:
        delivered = bench.go(receiver)
    assert delivered == Delivered(30, 270, 60, delivered.why)
    assert bench.proven(receiver)


def test_a_receiver_that_is_not_there_ends_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, list(range(200)))
    with Receiver() as receiver:
        url = receiver.url
    delivered = bench.go(url)
    assert (delivered.delivered, delivered.undelivered) == (0, 200)
    assert "it cannot be reached" in (delivered.why or "")


def test_a_url_that_is_none_ends_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, list(range(200)))
    delivered = bench.go("http://\u00e4..b/")
    assert delivered.undelivered == 200


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (None, "the Secret llmbatch-notify has no signing-key"),
        ("", "the Secret llmbatch-notify has no signing-key"),
        ("whsec_c2hvcnQ=", "must be `whsec_` and then 24 to 64 random bytes"),
        ("hunter2", "must be `whsec_` and then 24 to 64 random bytes"),
    ],
)
def test_without_a_key_nothing_is_posted_and_nothing_is_lost(tmp_path: Path, key: str | None, words: str) -> None:
    bench = Bench(tmp_path, list(range(7)))
    with Receiver() as receiver:
        delivered = bench.go(receiver, key=key)
        assert receiver.got == []
    assert (delivered.delivered, delivered.undelivered, delivered.requests) == (0, 7, 0)
    assert words in (delivered.why or "")
    assert "hunter2" not in (delivered.why or "")
    assert [row["index"] for row in bench.undelivered()] == list(range(7))


def test_a_token_in_the_url_is_told_to_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(tmp_path, list(range(7)))
    with Receiver(404) as receiver:
        bench.go(receiver)
    bench.go(receiver)
    told = bench.output.read("undelivered.jsonl").decode() + caplog.text
    told += "".join(bench.working.read(name).decode() for name in bench.working.names(""))
    assert "s3cret" not in told
    assert KEY not in told


def test_an_answer_of_any_size_is_read_in_part_only(tmp_path: Path) -> None:
    bench = Bench(tmp_path, list(range(20)))
    with Receiver() as receiver:
        receiver.body = b"x" * (20 << 20)
        assert bench.go(receiver).delivered == 20


# Marks


def test_after_the_end_nothing_is_posted_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, list(range(20)), items=25)
    with Receiver(lambda got: 500 if got.indexes[0] == 5 else 200) as receiver:
        first = bench.go(receiver)
        before, undelivered = len(receiver.got), bench.undelivered()
        assert bench.go(receiver) == first
        assert len(receiver.got) == before
    assert bench.undelivered() == undelivered


def test_marks_are_working_objects(tmp_path: Path) -> None:
    bench = Bench(tmp_path, list(range(20)))
    with Receiver() as receiver:
        bench.go(receiver)
    assert bench.working.names("") == ["delivered/000000", "delivered/000001"]
    assert all(map(layout.is_working_object, bench.working.names("")))


class _Interrupted(BaseException):
    """As a signal ends a pod."""


@pytest.mark.parametrize("after", [1, 20, 150, 290])
def test_a_restart_posts_few_again(tmp_path: Path, after: int) -> None:
    bench = Bench(tmp_path, list(range(300)), batch_size=1)
    with Receiver() as receiver:

        def interrupt() -> None:
            if len(receiver.got) >= after:
                raise _Interrupted

        with pytest.raises(_Interrupted):
            bench.go(receiver, on_wait=interrupt)
        first = len(receiver.got)
        assert bench.go(receiver) == Delivered(300, 0, 300)
    assert sorted(receiver.taken) == list(range(300))
    assert len(receiver.got) - 300 <= 64 + 4
    assert first < 300


def test_a_restart_reads_only_what_is_left(tmp_path: Path) -> None:
    bench = Bench(tmp_path, list(range(300)), batch_size=1)
    with Receiver() as receiver:

        def interrupt() -> None:
            if len(receiver.got) >= 200:
                raise _Interrupted

        with pytest.raises(_Interrupted):
            bench.go(receiver, on_wait=interrupt)
        bench.go(receiver)
    first, (start, end) = bench.read
    assert (first, end) == ((0, 300), 300)
    assert start >= 120


def test_what_was_given_up_before_a_restart_is_undelivered_after_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, list(range(300)), batch_size=1)
    with Receiver(lambda got: 404 if got.indexes[0] % 3 == 0 else 200) as receiver:

        def interrupt() -> None:
            if len(receiver.got) >= 200:
                raise _Interrupted

        with pytest.raises(_Interrupted):
            bench.go(receiver, on_wait=interrupt)
        receiver.answer = 200
        delivered = bench.go(receiver)
    lost = [row["index"] for row in bench.undelivered()]
    assert lost[:40] == list(range(0, 120, 3))
    assert delivered == Delivered(300 - len(lost), len(lost), 300, delivered.why)
    assert bench.proven(receiver)


def test_another_batch_size_counts_from_the_next_batch_on(tmp_path: Path) -> None:
    """Else a receiver that knows an id would drop results that it has never seen."""
    bench = Bench(tmp_path, list(range(300)), batch_size=1)
    with Receiver() as receiver:

        def interrupt() -> None:
            if len(receiver.got) >= 100:
                raise _Interrupted

        with pytest.raises(_Interrupted):
            bench.go(receiver, on_wait=interrupt)
        bench.batch_size = 7
        bench.go(receiver)
    assert sorted(receiver.taken) == list(range(300))
    assert all(len(got.indexes) == 1 for got in receiver.got)


def test_two_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    """A pod that was thought dead may be at it still."""
    one, other = (Bench(tmp_path, list(range(200)), batch_size=1) for _ in range(2))
    with Receiver(lambda got: 404 if got.indexes[0] % 7 == 0 else 200) as receiver:
        started = False

        def let_the_other_go() -> None:
            nonlocal started
            if not started and len(receiver.got) > 100:
                started = True
                other.go(receiver)

        one.go(receiver, on_wait=let_the_other_go)
        delivered = one.go(receiver)
    assert started
    assert (delivered.delivered, delivered.undelivered) == (171, 29)
    assert [row["index"] for row in one.undelivered()] == list(range(0, 200, 7))
    assert one.proven(receiver)


_FAULTS = st.lists(st.sampled_from([200, 200, 200, 500, 429, 404, RESET]), max_size=40)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    indexes=st.sets(st.integers(0, 60), max_size=40),
    batch_size=st.integers(1, 8),
    faults=_FAULTS,
    stops=st.lists(st.integers(0, 30), max_size=3),
    seed=st.integers(0, 2**32),
)
def test_every_result_is_received_or_undelivered_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory,
    indexes: set[int],
    batch_size: int,
    faults: list[int],
    stops: list[int],
    seed: int,
) -> None:
    chance = random.Random(seed)
    bench = Bench(tmp_path_factory.mktemp("delivery"), sorted(indexes), items=61, batch_size=batch_size)
    with Receiver() as receiver:
        receiver.answers = list(faults)
        for stop in stops:

            def interrupt(until: int = len(receiver.got) + stop) -> None:
                if len(receiver.got) >= until and chance.random() < 0.5:
                    raise _Interrupted

            try:
                bench.go(receiver, on_wait=interrupt)
            except _Interrupted:
                continue
        delivered = bench.go(receiver)
    assert bench.proven(receiver)
    assert delivered.delivered + delivered.undelivered == len(indexes)
    assert delivered.undelivered == len(bench.undelivered())


def test_the_summary_says_what_came_of_it() -> None:
    assert Delivered(5, 0, 1).row() == {"delivered": 5, "undelivered": 0, "requests": 1}
    row = Delivered(5, 2, 3, "why").row()
    assert orjson.dumps(row) == b'{"delivered":5,"undelivered":2,"requests":3,"error":"why"}'
