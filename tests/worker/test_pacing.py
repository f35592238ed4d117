"""A minute never holds more than the limit, and hardly less; on a virtual clock."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmbatch_worker.limits.pacing import Pacer

WINDOW_S = 60.0
Spent = list[tuple[float, float]]
"""(time, amount)."""


def _spend(pacer: Pacer, amounts: Iterable[tuple[float, float]], end_s: float) -> Spent:
    """Spend each amount as soon as allowed, after a pause before it."""
    now, spent = 0.0, []
    for pause_s, amount in amounts:
        now += pause_s
        now += pacer.wait_s(now, amount)
        if now > end_s:
            break
        pacer.take(amount, now)
        spent.append((now, amount))
    return spent


def _fullest_window(spent: Spent) -> float:
    """The most that any stretch of less than a minute holds."""
    fullest = held = 0.0
    first = 0
    for now, amount in spent:
        held += amount
        while spent[first][0] <= now - WINDOW_S:
            held -= spent[first][1]
            first += 1
        fullest = max(fullest, held)
    return fullest


_PAUSES = st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.3, 5.0, 61.0])


@given(per_minute=st.sampled_from([120, 600, 3000]), pauses=st.lists(_PAUSES, min_size=1, max_size=50))
@settings(max_examples=40, deadline=None)
def test_no_minute_holds_more_requests_than_the_limit(per_minute: int, pauses: list[float]) -> None:
    amounts = [(pause, 1.0) for pause in pauses * (1 + 4 * per_minute // len(pauses))]
    assert _fullest_window(_spend(Pacer(per_minute), amounts, 200)) <= per_minute


_SIZES = st.floats(1, 20_000)
_LIMIT = 100_000


@given(sizes=st.lists(st.tuples(_PAUSES, _SIZES), min_size=1, max_size=40), repeats=st.integers(1, 20))
@example(sizes=[(0.0, 100.0)] * 990 + [(0.0, 20_000.0)], repeats=1)
@settings(max_examples=150, deadline=None)
def test_no_minute_holds_more_tokens_than_the_limit_whatever_their_sizes(
    sizes: list[tuple[float, float]], repeats: int
) -> None:
    assert _fullest_window(_spend(Pacer(_LIMIT), sizes * repeats, 300)) <= _LIMIT


def test_a_large_request_after_many_small_ones_stays_within_the_minute() -> None:
    small, large = [(0.0, 100.0)] * 5000, [(0.0, 20_000.0)]
    pacer = Pacer(_LIMIT)
    spent = _spend(pacer, small, 59.9)
    now = spent[-1][0] + pacer.wait_s(spent[-1][0], large[0][1])
    pacer.take(large[0][1], now)
    assert _fullest_window([*spent, (now, large[0][1])]) <= _LIMIT


def test_with_demand_nearly_all_of_a_limit_is_used() -> None:
    spent = _spend(Pacer(600), [(0.0, 1.0)] * 4000, 300)
    assert len(spent) >= 0.98 * 600 * 5


def test_a_limit_below_one_a_minute_is_kept() -> None:
    spent = _spend(Pacer(0.5), [(0.0, 1.0)] * 10, 600)
    assert all(later - earlier >= 118 for (earlier, _), (later, _) in pairwise(spent))
    assert len(spent) >= 4


def test_without_a_limit_nothing_waits() -> None:
    pacer = Pacer()
    pacer.take(1e9, 0)
    assert pacer.wait_s(0) == 0


def test_a_limit_of_zero_lets_nothing_through() -> None:
    assert Pacer(0).wait_s(0) == float("inf")


def test_what_was_not_used_is_given_back() -> None:
    pacer = Pacer(60)
    pacer.take(30, 0)
    waited = pacer.wait_s(0)
    pacer.give_back(29)
    assert pacer.wait_s(0) < waited / 10


def test_what_was_used_beyond_the_estimate_is_paid_for() -> None:
    pacer = Pacer(60)
    pacer.take(1, 0)
    pacer.give_back(-30)
    assert pacer.wait_s(0) > 29


@pytest.mark.parametrize("idle_s", [1, 60, 3600])
def test_idle_time_is_not_saved_up(idle_s: float) -> None:
    pacer = Pacer(600)
    pacer.take(1, 0)
    spent = _spend(pacer, [(float(idle_s), 1.0)] + [(0.0, 1.0)] * 50, idle_s + 1.0)
    assert len([now for now, _ in spent if now < idle_s + 0.5]) <= 7
