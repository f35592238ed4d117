"""Which items have spans: as many as asked for, spread over the batch, and the slowest."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_worker.observing.sampling import Slowest, is_sampled, slow_per_shard


@given(items=st.integers(1, 3000), budget=st.integers(0, 4000))
def test_exactly_as_many_are_picked_as_asked_for_or_all(items: int, budget: int) -> None:
    assert sum(is_sampled(n, items, budget) for n in range(items)) == min(budget, items)


@given(items=st.integers(1, 3000), budget=st.integers(1, 3000))
def test_picked_ones_are_evenly_spread(items: int, budget: int) -> None:
    picked = [n for n in range(items) if is_sampled(n, items, budget)]
    gaps = {b - a for a, b in itertools.pairwise(picked)}
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(
    ("budget", "shards", "kept"),
    [
        pytest.param(1000, 1, 20, id="no more than twenty"),
        pytest.param(1000, 10, 10, id="a tenth of the budget over all shards"),
        pytest.param(1000, 100, 1, id="one each"),
        pytest.param(1000, 5000, 1, id="one each, however many shards"),
        pytest.param(0, 3, 1, id="one each, also where nothing is sampled"),
    ],
)
def test_slow_items_of_a_shard(budget: int, shards: int, kept: int) -> None:
    assert slow_per_shard(budget, shards) == kept


@given(times=st.lists(st.integers(0, 50)), most=st.integers(1, 10))
def test_the_slowest_are_kept_in_bounded_memory_the_slowest_first(times: list[int], most: int) -> None:
    slowest: Slowest[int] = Slowest(most)
    for time in times:
        if slowest.wants(time):
            slowest.keep(time, time)
        assert len(slowest._heap) <= most
    assert slowest.take() == sorted(times, reverse=True)[:most]
    assert slowest.take() == []


def test_of_equally_slow_ones_the_first_are_kept() -> None:
    slowest: Slowest[str] = Slowest(2)
    for name in ("a", "b", "c"):
        if slowest.wants(1.0):
            slowest.keep(1.0, name)
    assert slowest.take() == ["a", "b"]
