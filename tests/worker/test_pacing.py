"""A minute never holds more than the limit, and hardly less; on a virtual clock."""

import heapq
import random
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmbatch_worker.limits.pacing import Pacer, TokenPacer

WINDOW_S = 60.0
Spent = list[tuple[float, float]]
"""(time, amount)."""


def _spend(pacer: Pacer, amounts: Iterable[tuple[float, float]], end_s: float) -> Spent:
    """Spend each amount as soon as allowed, after a pause before it."""
    now, spent = 0.0, []
    for pause_s, amount in amounts:
        now += pause_s
        while (wait_s := pacer.wait_s(now, amount)) > 1e-9:
            now += wait_s
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
def test_no_minute_holds_more_requests_than_the_rate_and_one(per_minute: int, pauses: list[float]) -> None:
    amounts = [(pause, 1.0) for pause in pauses * (1 + 4 * per_minute // len(pauses))]
    assert _fullest_window(_spend(Pacer(per_minute), amounts, 200)) <= per_minute + 1


_SIZES = st.floats(1, 20_000)
_LIMIT = 100_000


@given(sizes=st.lists(st.tuples(_PAUSES, _SIZES), min_size=1, max_size=40), repeats=st.integers(1, 20))
@example(sizes=[(0.0, 100.0)] * 990 + [(0.0, 20_000.0)], repeats=1)
@settings(max_examples=100, deadline=None)
def test_no_minute_holds_more_tokens_than_the_rate_and_the_largest_request(
    sizes: list[tuple[float, float]], repeats: int
) -> None:
    largest = max(amount for _, amount in sizes)
    assert _fullest_window(_spend(TokenPacer(_LIMIT), sizes * repeats, 300)) <= _LIMIT + largest


def test_with_demand_nearly_all_of_a_limit_is_used() -> None:
    spent = _spend(Pacer(600), [(0.0, 1.0)] * 4000, 300)
    assert len(spent) >= 0.99 * 600 * 5


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
    pacer = TokenPacer(60)
    pacer.take(30, 0)
    waited = pacer.wait_s(0)
    pacer.give_back(29, 0, 0)
    assert pacer.wait_s(0) < waited / 10


def test_what_was_used_beyond_the_estimate_is_paid_for() -> None:
    pacer = TokenPacer(60)
    pacer.take(1, 0)
    pacer.give_back(-30, 0, 0)
    assert pacer.wait_s(0) > 29


@pytest.mark.parametrize("idle_s", [1, 60, 3600])
def test_idle_time_is_not_saved_up(idle_s: float) -> None:
    pacer = Pacer(600)
    pacer.take(1, 0)
    spent = _spend(pacer, [(float(idle_s), 1.0)] + [(0.0, 1.0)] * 50, idle_s + 1.0)
    assert len([now for now, _ in spent if now < idle_s + 0.5]) <= 7


def test_what_is_owed_stays_owed_when_the_rate_changes() -> None:
    pacer = Pacer(600)
    pacer.take(1, 0)
    pacer.change(6, 0)
    assert pacer.wait_s(0) == pytest.approx(10, rel=0.01)
    pacer.change(600, 5)
    assert pacer.wait_s(5) == pytest.approx(0.05, rel=0.01)


_LATENCY_S = 4.0


def _reshuffled(seed: int, limit: float, sizes: tuple[float, ...], guessed: float, end_s: float) -> tuple[Spent, float]:
    """Workers whose rates are handed round at random moments, and who die; their real amounts, and the largest guess.

    Every worker of the last minute and its largest guess are kept free, as whoever hands out the rates does.
    """
    chance = random.Random(seed)
    largest = max(sizes) * guessed
    workers = {n: TokenPacer(0) for n in range(chance.randint(1, 6))}
    gone: list[float] = []
    answers: list[tuple[float, int, int, float, float]] = []
    now, spent, count = 0.0, [], 0
    next_shuffle = 0.0
    while now < end_s:
        if now >= next_shuffle:
            if chance.random() < 0.3:
                workers.pop(chance.choice(list(workers)))
                workers[max([*workers, 0]) + 1 + count] = TokenPacer(0)
                gone.append(now)
            kept = len(workers) + len([at for at in gone if at > now - 2 * WINDOW_S])
            weights = {n: chance.random() * chance.choice([0, 1, 1, 5]) for n in workers}
            whole = sum(weights.values()) or 1.0
            for n, pacer in workers.items():
                pacer.change(max(0.0, limit - kept * largest) * weights[n] / whole, now)
            next_shuffle = now + chance.choice([0.3, 2.0, 7.0, 30.0])
        while answers and answers[0][0] <= now:
            _, _, who, sent_at, unused = heapq.heappop(answers)
            if who in workers:
                workers[who].give_back(unused, sent_at, now)
        for n, pacer in workers.items():
            for _ in range(chance.choice([0, 3, 3])):
                real = chance.choice(sizes)
                if pacer.wait_s(now, real * guessed) > 0:
                    break
                pacer.take(real * guessed, now)
                spent.append((now, real))
                count += 1
                heapq.heappush(answers, (now + chance.random() * _LATENCY_S, count, n, now, real * guessed - real))
        now += 0.02
    return spent, largest


@pytest.mark.parametrize("seed", range(12))
def test_rates_that_are_handed_round_never_add_up_to_more_requests_than_the_limit(seed: int) -> None:
    spent, _ = _reshuffled(seed, 600, (1.0,), 1.0, 200)
    assert _fullest_window(spent) <= 600


@pytest.mark.parametrize("guessed", [1.0, 1.2, 4.0], ids="{} times what is used".format)
@pytest.mark.parametrize("seed", range(6))
def test_rates_that_are_handed_round_never_add_up_to_more_tokens_than_the_limit(seed: int, guessed: float) -> None:
    spent, _ = _reshuffled(seed, _LIMIT, (50.0, 100.0, 700.0), guessed, 200)
    assert _fullest_window(spent) <= _LIMIT


def test_with_demand_nearly_all_of_a_token_limit_is_used_whatever_was_guessed() -> None:
    pacer, now, used = TokenPacer(_LIMIT), 0.0, 0.0
    answers: list[tuple[float, float]] = []
    while now < 300:
        while answers and answers[0][0] <= now:
            _, sent_at = answers.pop(0)
            pacer.give_back(200, sent_at, now)
        while pacer.wait_s(now, 1200) == 0:
            pacer.take(1200, now)
            answers.append((now + 2, now))
            used += 1000
        now += 0.01
    assert used >= 0.96 * _LIMIT * 5
