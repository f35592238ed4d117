"""What a worker says it could use, from what it uses and what holds it back."""

from dataclasses import replace

import pytest

from llmbatch_contract.reports import Demand
from llmbatch_worker.limits.demands import RATES, Demands, Situation
from llmbatch_worker.limits.recent import Recent

NOW = 1000.0
BUSY = Situation(
    used=(600.0, 60_000.0, 30_000.0), largest=500, in_flight=10, peak_in_flight=12, own_concurrency=64, left=None,
    has_begun=True, is_closed=False,
)  # fmt: skip


def test_before_anything_was_sent_it_is_all_there_is() -> None:
    wanted = Demands().demand(replace(BUSY, has_begun=False), NOW)
    assert wanted == Demand(concurrency=64)


def test_without_a_limit_in_the_way_it_is_a_little_more_than_is_used() -> None:
    wanted = Demands().demand(BUSY, NOW)
    assert wanted == Demand(
        requests_per_minute=762, tokens_per_minute=81_000, input_tokens_per_minute=43_500, concurrency=16
    )


@pytest.mark.parametrize("name", ["requests_per_minute", "tokens_per_minute", "input_tokens_per_minute"])
def test_of_a_rate_that_holds_requests_back_it_is_all_there_is_for_as_long_as_that(name: str) -> None:
    demands = Demands()
    demands.held(name, NOW)
    wanted = demands.demand(BUSY, NOW + 1)
    assert [n for n in RATES if getattr(wanted, n) is None] == [name]
    assert getattr(demands.demand(BUSY, NOW + 1.1), name) is not None


def test_of_concurrency_it_is_never_more_than_the_worker_allows_itself() -> None:
    demands = Demands()
    demands.held("concurrency", NOW)
    assert demands.demand(BUSY, NOW).concurrency == 64
    assert demands.demand(replace(BUSY, peak_in_flight=64), NOW + 2).concurrency == 64


@pytest.mark.parametrize(
    ("left", "requests", "in_flight"),
    [pytest.param(0, 0, 10, id="all is in flight"), pytest.param(3, 180, 13, id="three wait")],
)
def test_it_is_no_more_than_the_last_items_can_use(left: int, requests: float, in_flight: int) -> None:
    demands = Demands()
    demands.held("requests_per_minute", NOW)
    wanted = demands.demand(replace(BUSY, left=left), NOW)
    assert (wanted.requests_per_minute, wanted.concurrency) == (requests, in_flight)


@pytest.mark.parametrize(
    ("own", "latency_s", "possible"),
    [
        pytest.param(1, 20.0, 3.8, id="one at a time, of twenty seconds each"),
        pytest.param(16, 2.0, 528.5, id="sixteen at a time"),
    ],
)
def test_more_than_answers_come_back_it_cannot_send(own: int, latency_s: float, possible: float) -> None:
    demands = Demands()
    assert demands.demand(BUSY, NOW).possible_requests_per_minute is None
    for _ in range(20):
        demands.answered(latency_s)
    said = demands.demand(replace(BUSY, own_concurrency=own, in_flight=0), NOW).possible_requests_per_minute
    assert said == pytest.approx(possible)


def test_before_the_first_answer_the_wait_for_it_tells_how_slow_it_is() -> None:
    demands = Demands()
    full = replace(BUSY, own_concurrency=1, in_flight=1, peak_in_flight=1)
    said = [demands.demand(full, NOW + after_s).possible_requests_per_minute for after_s in (0, 2, 20)]
    assert said == [None, pytest.approx(33.5), pytest.approx(3.8)]


def test_a_wait_that_was_asked_for_changes_nothing_and_neither_do_the_seconds_after_it() -> None:
    demands = Demands()
    before = demands.demand(BUSY, NOW)
    idle = replace(BUSY, used=(0, 0, 0), in_flight=0, peak_in_flight=0)
    for after_s in (1, 30, 300):
        assert demands.demand(replace(idle, is_closed=True), NOW + after_s) == before
    assert demands.demand(idle, NOW + 301) == before
    assert demands.demand(idle, NOW + 309) == before
    assert demands.demand(idle, NOW + 311).requests_per_minute == 12


def test_what_is_used_is_corrected_in_the_second_in_which_it_was_sent() -> None:
    recent = Recent()
    for second in range(20):
        for _ in range(5):
            recent.sent(tokens=100, read=50, now=NOW + second + 0.5)
    used = recent.used(NOW + 19.999, in_flight=3)
    assert used.requests_per_minute == pytest.approx(300, rel=0.11)
    assert used.tokens_per_minute == pytest.approx(30_000, rel=0.11)
    for _ in range(5):
        recent.correct(tokens=100, read=50, sent_at=NOW + 19.5, now=NOW + 19.999)
    requests, tokens, read = recent.used_just_now(NOW + 19.999)
    assert requests == pytest.approx(300, rel=0.11)
    assert tokens == pytest.approx(requests * 100 * 2 / 3)
    assert read == pytest.approx(requests * 50 * 2 / 3)


def test_what_was_used_just_now_is_nothing_three_seconds_later() -> None:
    recent = Recent()
    recent.sent(tokens=100, read=50, now=NOW)
    assert recent.used_just_now(NOW + 0.1)[0] > 0
    assert recent.used_just_now(NOW + 3) == (0, 0, 0)
    assert recent.used(NOW + 100, 0).requests_per_minute == 0
