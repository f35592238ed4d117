"""Results cut into requests: in order, none left out, never too many, never too large."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from delivering.delivery_bench import BATCH, lines
from llmbatch_worker.delivering.requests import MOST_BYTES, Line, Request, cut, request_id


def _records(request: Request) -> list[int]:
    return [record["index"] for record in orjson.loads(request.body)["results"]]


@given(indexes=st.sets(st.integers(0, 200)), batch_size=st.integers(1, 30), number=st.integers(0, 10**6))
def test_every_result_is_in_one_request_in_order(indexes: set[int], batch_size: int, number: int) -> None:
    ordered = sorted(indexes)
    requests = list(cut(lines(ordered), BATCH, batch_size, number))
    assert [index for request in requests for index in _records(request)] == ordered
    assert [request.number for request in requests] == list(range(number, number + len(requests)))
    assert all(request.results == batch_size for request in requests[:-1])
    for request in requests:
        body = orjson.loads(request.body)
        assert (body["number"], body["first"]) == (request.number, request.first)
        assert (request.first, request.last) == (_records(request)[0], _records(request)[-1])


@given(indexes=st.sets(st.integers(0, 100), min_size=1), batch_size=st.integers(1, 9), done=st.integers(0, 200))
def test_what_begins_after_a_settled_request_is_cut_in_the_same_way(
    indexes: set[int], batch_size: int, done: int
) -> None:
    ordered = lines(sorted(indexes))
    all_requests = list(cut(ordered, BATCH, batch_size, 0))
    done %= len(all_requests)
    rest = [line for line in ordered if line.index >= all_requests[done].first]
    assert list(cut(rest, BATCH, batch_size, done)) == all_requests[done:]


def test_a_body_says_whose_results_it_has() -> None:
    (request,) = cut(lines([7]), BATCH, 10, 3)
    assert orjson.loads(request.body) == {
        "type": "results",
        "batch": {"name": "triage", "namespace": "team-a", "uid": "the-uid"},
        "number": 3,
        "first": 7,
        "results": [{"id": "id-7", "index": 7, "output": "x"}],
    }
    assert request_id(BATCH, 3) == "the-uid-results-3"


def test_a_request_has_at_most_4_mib_and_a_larger_result_goes_alone() -> None:
    sizes = [1_500_000, 1_500_000, 1_500_000, 5_000_000, 10, 10]
    big = [Line(n, str(n), orjson.dumps({"index": n, "output": "y" * size})) for n, size in enumerate(sizes)]
    requests = list(cut(big, BATCH, 100, 0))
    assert [_records(request) for request in requests] == [[0, 1], [2], [3], [4, 5]]
    assert all(len(request.body) <= MOST_BYTES for request in requests if request.number != 2)


def test_results_that_just_fit_go_together() -> None:
    record = orjson.dumps({"index": 0, "output": "z" * 1000})
    many = [Line(n, str(n), record) for n in range(10_000)]
    first, *_ = cut(many, BATCH, 10_000, 0)
    assert MOST_BYTES - 3000 < len(first.body) <= MOST_BYTES
