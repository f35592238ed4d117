"""Weighted max-min fairness, whole numbers, and who waits where there is too little for all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_contract.sharing.amounts import CONCURRENCY, REQUESTS, UNBOUNDED, Vector
from llmbatch_contract.sharing.fairness import Wish, divide, weighted_max_min, whole
from llmbatch_contract.sharing.turns import TURN_S, Turns

_ROUNDING = 1e-6
_WISHES = st.lists(st.tuples(st.sampled_from([1.0, 50.0, 300.0]), st.floats(0, 1000) | st.just(UNBOUNDED)), max_size=8)
_LIMITS = st.floats(0.1, 2000)


def _shared(limit: float, wishes: list[tuple[float, float]]) -> list[float]:
    return weighted_max_min(limit, [weight for weight, _ in wishes], [demand for _, demand in wishes])


@given(limit=_LIMITS, wishes=_WISHES)
def test_nobody_gets_more_than_it_asks_for_and_nothing_is_left_while_somebody_wants_more(
    limit: float, wishes: list[tuple[float, float]]
) -> None:
    shares = _shared(limit, wishes)
    assert all(0 <= share <= demand for share, (_, demand) in zip(shares, wishes, strict=True))
    assert sum(shares) == pytest.approx(min(limit, sum(demand for _, demand in wishes)))


@given(limit=_LIMITS, wishes=_WISHES)
def test_whoever_gets_less_than_it_asks_for_gets_as_much_by_weight_as_anybody(
    limit: float, wishes: list[tuple[float, float]]
) -> None:
    by_weight = [share / weight for share, (weight, _) in zip(_shared(limit, wishes), wishes, strict=True)]
    for (weight, demand), level in zip(wishes, by_weight, strict=True):
        if level * weight < demand - _ROUNDING:
            assert level >= max(by_weight) - _ROUNDING


@pytest.mark.parametrize(
    ("limit", "wishes", "shares"),
    [
        pytest.param(10, [], [], id="nobody asks"),
        pytest.param(10, [(1, UNBOUNDED)], [10], id="one gets all"),
        pytest.param(10, [(1, 2), (1, 3), (1, 100)], [2, 3, 5], id="what one leaves another gets"),
        pytest.param(10, [(100, UNBOUNDED), (300, UNBOUNDED)], [2.5, 7.5], id="by weight"),
        pytest.param(10, [(100, UNBOUNDED), (300, 3)], [7, 3], id="a weighty one that wants little"),
        pytest.param(0, [(1, UNBOUNDED)], [0], id="nothing to share"),
    ],
)
def test_shares_are_max_min_fair(limit: float, wishes: list[tuple[float, float]], shares: list[float]) -> None:
    assert _shared(limit, wishes) == pytest.approx(shares)


@given(parts=st.lists(st.floats(0, 9), min_size=1, max_size=8), spare=st.integers(0, 5))
def test_whole_numbers_keep_the_sum_and_are_less_than_one_off(parts: list[float], spare: int) -> None:
    limit = int(sum(parts)) + spare
    rounded = whole(parts, limit, [UNBOUNDED] * len(parts))
    assert all(abs(a - b) <= 1 for a, b in zip(rounded, parts, strict=True))
    assert int(sum(parts)) <= sum(rounded) <= min(limit, sum(parts) + 1)


def _wish(requests: float, need: float = 1.0, firm: float | None = None) -> Wish:
    def only(amount: float) -> Vector:
        return (amount, UNBOUNDED, UNBOUNDED, UNBOUNDED)

    return Wish(1.0, only(requests if firm is None else firm), only(requests), only(need), (1.0, 0.0, 0.0, 0.0))


def test_as_few_as_can_use_it_share_what_would_be_too_little_for_all() -> None:
    room = (120.0, UNBOUNDED, UNBOUNDED, UNBOUNDED)
    parts = divide(room, [_wish(UNBOUNDED, need=50)] * 5, (REQUESTS,))
    assert [part[REQUESTS] for part in parts] == [59, 59, 0, 0, 0]


def test_what_is_used_comes_before_what_could_be_used() -> None:
    room = (102.0, UNBOUNDED, UNBOUNDED, UNBOUNDED)
    parts = divide(room, [_wish(40, firm=20), _wish(UNBOUNDED)], (REQUESTS,))
    assert [part[REQUESTS] for part in parts] == pytest.approx([20, 80])


def test_requests_at_once_are_whole() -> None:
    wish = Wish(1.0, (0, 0, 0, 9.0), (0, 0, 0, 9.0), (0, 0, 0, 1.0))
    room = (UNBOUNDED, UNBOUNDED, UNBOUNDED, 5.0)
    parts = divide(room, [wish, wish, wish], (CONCURRENCY,))
    assert sorted(part[CONCURRENCY] for part in parts) == [1, 2, 2]


def test_turns_pass_to_those_who_have_waited_longest() -> None:
    turns = Turns()
    turns.note(["a", "b", "c"], [True, False, False], 0)
    turns.note(["b", "c", "a"], [False, False, True], 5)
    assert turns.ordered(["c", "b", "a"], TURN_S - 1) == [2, 0, 1], "who has the turn keeps it for a while"
    assert turns.ordered(["c", "b", "a"], TURN_S + 1)[-1] == 2
