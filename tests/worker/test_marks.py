"""Shards cover the input: every item in exactly one, every byte of an item in its shard."""

from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbatch_worker.planning.marks import DEFAULT_SHARD_ITEMS, Marks, pod_shard_size, shard_size


@given(
    lengths=st.lists(st.integers(1, 50), max_size=400),
    size=st.integers(1, 500),
    step=st.integers(1, 7),
    first=st.integers(0, 100),
)
def test_shards_cover_the_items_without_gap_or_overlap(lengths: list[int], size: int, step: int, first: int) -> None:
    marks, starts = Marks(step), list(accumulate(lengths, initial=first))
    for start in starts[:-1]:
        marks.add(start)
    shards = marks.shards(size, starts[-1])
    assert [s.number for s in shards] == list(range(len(shards)))
    assert sum(s.items for s in shards) == len(lengths)
    assert all(s.items > 0 for s in shards)
    for shard in shards:
        assert (shard.start, shard.end) == (starts[shard.first_item], starts[shard.first_item + shard.items])
    for one, other in pairwise(shards):
        assert (one.end, one.first_item + one.items) == (other.start, other.first_item)


@pytest.mark.parametrize("items", [1 << 16, (1 << 16) + 1, 200_001, 300_000])
def test_marks_stay_bounded_and_still_cover_everything(items: int) -> None:
    marks = Marks()
    for number in range(items):
        marks.add(number * 10)
    shards = marks.shards(1000, items * 10)
    assert sum(s.items for s in shards) == items
    assert all((s.start, s.end) == (s.first_item * 10, (s.first_item + s.items) * 10) for s in shards)
    assert len(marks._offsets) <= 1 << 16


def test_there_are_never_more_shards_than_a_batch_can_have() -> None:
    marks = Marks()
    for number in range(30_000):
        marks.add(number)
    assert len(marks.shards(1, 30_000)) <= 10_000


def test_no_items_are_no_shards() -> None:
    assert Marks().shards(10, 0) == []


@given(asked=st.none() | st.integers(1, 10**6), items=st.integers(0, 10**8), workers=st.integers(1, 64))
@settings(max_examples=200)
def test_every_worker_gets_several_shards_unless_asked_otherwise(asked: int | None, items: int, workers: int) -> None:
    size = shard_size(asked, items, workers)
    assert size == asked if asked is not None else 1 <= size <= DEFAULT_SHARD_ITEMS
    if asked is None and items >= 4 * workers:
        assert items / size >= 4 * workers / 2


@pytest.mark.parametrize(
    ("asked", "items", "pods", "size"),
    [
        pytest.param(None, 2000, 4, 500, id="one shard for every pod at once"),
        pytest.param(None, 2001, 4, 501, id="rounded up, so that there is no pod more"),
        pytest.param(None, 1_000_000, 4, 1000, id="no shard is so large that its end is far away"),
        pytest.param(None, 120, 4, 100, id="no shard is so small that it is not worth a pod"),
        pytest.param(None, 0, 4, 100, id="no items"),
        pytest.param(7, 2000, 4, 7, id="as asked"),
    ],
)
def test_where_a_shard_is_a_pod_there_are_as_many_as_pods_within_limits(
    asked: int | None, items: int, pods: int, size: int
) -> None:
    assert pod_shard_size(asked, items, pods) == size
