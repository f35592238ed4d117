"""What a pod may claim: its image may be anybody's."""

import pytest

from llmbatch_contract.progress import ShardProgress
from llmbatch_contract.reports import Grant, PushBackKind, Report
from llmbatch_operator.plausible import LONGEST_BACKOFF_S, TEXT_CHARS, plausible

_LONG = "x" * 100_000
_HUGE = 10**30


def _report(**fields: object) -> Report:
    return Report.model_validate({"worker": "a", **fields})


def test_what_may_be_true_is_left_as_it_is() -> None:
    shard = ShardProgress(shard=3, attempt=1, items=10, succeeded=10)
    told = _report(
        shards=[shard],
        in_flight=3,
        largest_tokens=900.5,
        holds={"number": 7, "requests_per_minute": 30.0, "budget": {"tokens": 500}},
        demand={"requests_per_minute": None, "concurrency": 4},
        used={"tokens_per_minute": 1e6},
        backoff_seconds=30,
        push_backs=[{"kind": "rate_limited", "count": 3, "sent_ago_s": 1.5, "message": "slow down"}],
        trouble={"category": "connection", "message": "refused", "failures": 9, "for_s": 6},
    )
    assert plausible(told, 4) == told
    quiet = _report()
    assert plausible(quiet, 4) is quiet


@pytest.mark.parametrize(
    ("told", "taken"),
    [
        pytest.param({"in_flight": -5}, {"in_flight": 0}, id="fewer than none in flight"),
        pytest.param({"in_flight": _HUGE}, {"in_flight": 10**12}, id="more in flight than there can be"),
        pytest.param({"largest_tokens": -1.0}, {"largest_tokens": 0.0}, id="a request of less than no tokens"),
        pytest.param(
            {"used": {"requests_per_minute": -1, "concurrency": -2}}, {"used": {}}, id="less used than nothing"
        ),
        pytest.param(
            {"demand": {"tokens_per_minute": 1e30}},
            {"demand": {"tokens_per_minute": 1e12}},
            id="a demand beyond measure",
        ),
        pytest.param({"spent": {"tokens": -7, "cost": -1}}, {"spent": {}}, id="money earned"),
        pytest.param(
            {"holds": {"number": 1, "requests_per_minute": -3, "budget": {"cost": -4}}},
            {"holds": {"number": 1, "requests_per_minute": 0, "budget": {"cost": 0}}},
            id="a grant below zero",
        ),
        pytest.param(
            {"backoff_seconds": 86_400}, {"backoff_seconds": LONGEST_BACKOFF_S}, id="a day's wait for everybody"
        ),
        pytest.param(
            {"store_trouble": {"kind": "away", "message": _LONG, "for_s": -1}},
            {"store_trouble": {"kind": "away", "message": _LONG[:TEXT_CHARS], "for_s": 0}},
            id="a long story of a store",
        ),
        pytest.param({"backoff_seconds": -1}, {"backoff_seconds": 0}, id="a wait that is over before it began"),
        pytest.param(
            {"trouble": {"category": "connection", "message": "?", "failures": -1, "for_s": -1}},
            {"trouble": {"category": "connection", "message": "?", "failures": 0, "for_s": 0}},
            id="trouble that is yet to come",
        ),
    ],
)
def test_what_cannot_be_true_is_cut(told: dict[str, object], taken: dict[str, object]) -> None:
    assert plausible(_report(**told), 4) == _report(**taken)


def test_shards_that_are_not_planned_are_passed_over() -> None:
    shards = [ShardProgress(shard=n, attempt=1, items=1) for n in (-1, 0, 3, 4)]
    assert [s.shard for s in plausible(_report(shards=shards), 4).shards] == [0, 3]


def test_texts_are_cut() -> None:
    sample = {"item_id": _LONG, "message": _LONG}
    told = _report(
        shards=[{"shard": 0, "attempt": 1, "items": 1, "samples": {"timeout": sample}}],
        push_backs=[{"kind": "slow", "count": 1, "sent_ago_s": 0, "message": _LONG}],
        trouble={"category": "connection", "message": _LONG, "failures": 1, "for_s": 1},
        stop={"category": "auth", "message": _LONG},
    )
    assert len(plausible(told, 4).dump_json()) < 6 * TEXT_CHARS


def test_of_many_push_backs_of_a_kind_the_youngest_counts() -> None:
    told = [{"kind": "overloaded", "count": -1, "sent_ago_s": age} for age in (9.0, -3.0, 5.0)] * 1000
    [taken] = plausible(_report(push_backs=told), 4).push_backs
    assert (taken.kind, taken.count, taken.sent_ago_s) == (PushBackKind.OVERLOADED, 0, 0)


def test_a_grant_keeps_what_was_right_of_it() -> None:
    holds = {"number": 9, "requests_per_minute": 20.0, "concurrency": -1}
    assert plausible(_report(holds=holds), 4).holds == Grant(number=9, requests_per_minute=20, concurrency=0)
