"""The concurrency that an endpoint bears is found, kept and not lost again; on a virtual clock."""

import heapq

import pytest

from llmbatch_worker.limits.adaptive import MOST, START, AdaptiveConcurrency


def _serve(adaptive: AdaptiveConcurrency, requests: int, servers: int, service_s: float = 0.1) -> list[int]:
    """Keep an endpoint of so many parallel servers as busy as allowed; returns the limit after each answer."""
    now = 0.0
    flying: list[tuple[float, float]] = []
    limits: list[int] = []
    free_at = [0.0] * servers
    heapq.heapify(free_at)
    for _ in range(requests):
        while len(flying) < adaptive.limit:
            done = max(now, heapq.heappop(free_at)) + service_s
            heapq.heappush(free_at, done)
            heapq.heappush(flying, (done, now))
        now, sent_at = heapq.heappop(flying)
        adaptive.answered(now - sent_at, len(flying) + 1)
        limits.append(adaptive.limit)
    return limits


def test_it_starts_small() -> None:
    assert AdaptiveConcurrency().limit == START


@pytest.mark.parametrize("most", [1, 3])
def test_it_never_starts_above_the_most(most: int) -> None:
    assert AdaptiveConcurrency(most).limit == most


def test_it_grows_to_the_most_on_an_endpoint_that_never_gets_slower() -> None:
    assert _serve(AdaptiveConcurrency(), 3000, 10_000)[-1] == MOST


@pytest.mark.parametrize("servers", [4, 20, 100])
def test_it_finds_the_knee_of_an_endpoint_that_queues(servers: int) -> None:
    settled = _serve(AdaptiveConcurrency(), 20_000, servers)[-5000:]
    assert min(settled) >= 0.9 * servers
    assert max(settled) <= max(START * 2, 4 * servers)


def test_it_does_not_grow_while_it_is_not_used() -> None:
    adaptive = AdaptiveConcurrency()
    for _ in range(1000):
        adaptive.answered(0.1, 2)
    assert adaptive.limit == START


def test_a_burst_of_failures_counts_once() -> None:
    adaptive = AdaptiveConcurrency()
    before = _serve(adaptive, 3000, 10_000)[-1]
    shrunk = [adaptive.pushed_back(sent_at=400 + n / 1000, now=401 + n / 1000) for n in range(100)]
    assert shrunk == [True] + [False] * 99
    assert adaptive.limit >= 0.6 * before


def test_failures_sent_after_a_decrease_count_again() -> None:
    adaptive = AdaptiveConcurrency()
    assert adaptive.pushed_back(1.0, 2.0)
    assert not adaptive.pushed_back(1.9, 2.1)
    assert adaptive.pushed_back(2.5, 3.0)


def test_it_never_falls_below_one() -> None:
    adaptive = AdaptiveConcurrency()
    for n in range(100):
        adaptive.pushed_back(n + 0.5, n + 1)
    assert adaptive.limit == 1


def test_it_recovers_after_a_bad_time() -> None:
    adaptive = AdaptiveConcurrency()
    for n in range(100):
        adaptive.pushed_back(-100 + n + 0.5, -99 + n)
    assert _serve(adaptive, 5000, 10_000)[-1] > 50


def test_answers_that_vary_in_length_do_not_make_it_collapse() -> None:
    adaptive = AdaptiveConcurrency()
    for n in range(20_000):
        adaptive.answered(0.05 + 0.3 * ((n * 7919) % 101) / 101, adaptive.limit)
    assert adaptive.limit >= 64


def test_an_endpoint_that_becomes_slower_for_good_does_not_make_it_collapse() -> None:
    adaptive = AdaptiveConcurrency()
    _serve(adaptive, 3000, 10_000, 0.05)
    assert min(_serve(adaptive, 30_000, 10_000, 0.5)) >= 8
