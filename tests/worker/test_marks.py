"""Shards cover the input: every item in exactly one, every byte of an item in its shard."""

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbatch_contract.plan import Shard
from llmbatch_worker.planning.marks import DEFAULT_SHARD_ITEMS, Marks, pod_shard_size, shard_size


@given(
    lengths=st.lists(st.lists(st.integers(1, 50), max_size=60), min_size=1, max_size=8),
    size=st.integers(1, 500),
    step=st.integers(1, 7),
    header=st.integers(0, 100),
    at_a_time=st.integers(1, 20),
)
def test_shards_cover_the_items_of_all_objects_without_gap_or_overlap(
    lengths: list[list[int]], size: int, step: int, header: int, at_a_time: int
) -> None:
    marks = Marks(step)
    starts = [list(accumulate(each, initial=header)) for each in lengths]
    for number, offsets in enumerate(starts):
        for at in range(0, len(offsets) - 1, at_a_time):
            marks.add(number, offsets[:-1][at : at + at_a_time])
    shards = marks.shards(size, [(offsets[0], offsets[-1]) for offsets in starts])
    items = [(number, start) for number, offsets in enumerate(starts) for start in offsets[:-1]]
    assert [s.number for s in shards] == list(range(len(shards)))
    found = [_items_of(shard, starts) for shard in shards]
    assert [item for of_shard in found for item in of_shard] == items
    assert [len(of_shard) for of_shard in found] == [s.items for s in shards]
    assert [s.first_item for s in shards] == list(accumulate((s.items for s in shards), initial=0))[:-1]
    assert all(s.items > 0 for s in shards)


def _items_of(shard: Shard, starts: list[list[int]]) -> list[tuple[int, int]]:
    """Object and offset of the items in a shard's range, as shards read them."""
    found = []
    for number in range(shard.first_object, shard.last_object + 1):
        first = shard.start if number == shard.first_object else starts[number][0]
        end = shard.end if number == shard.last_object else starts[number][-1]
        found += [(number, start) for start in starts[number][:-1] if first <= start < end]
    return found


def test_a_shard_that_ends_with_an_object_does_not_open_the_next() -> None:
    marks = Marks()
    for number in range(3):
        marks.add(number, [5, 6])
    shards = marks.shards(2, [(5, 7)] * 3)
    assert [(s.first_object, s.last_object, s.start, s.end) for s in shards] == [(n, n, 5, 7) for n in range(3)]


@pytest.mark.parametrize("items", [1 << 16, (1 << 16) + 1, 200_001, 300_000])
@pytest.mark.parametrize("at_a_time", [1, 1000, 1 << 20], ids=["one by one", "a thousand at a time", "all at once"])
def test_marks_stay_bounded_and_still_cover_everything(items: int, at_a_time: int) -> None:
    marks = Marks()
    for at in range(0, items, at_a_time):
        marks.add(0, range(at * 10, min(items, at + at_a_time) * 10, 10))
    shards = marks.shards(1000, [(0, items * 10)])
    assert sum(s.items for s in shards) == items
    assert all((s.start, s.end) == (s.first_item * 10, (s.first_item + s.items) * 10) for s in shards)
    assert all(s.items <= 1100 for s in shards)
    assert len(marks._offsets) <= 1 << 16


def test_there_are_never_more_shards_than_a_batch_can_have() -> None:
    marks = Marks()
    marks.add(0, range(30_000))
    assert len(marks.shards(1, [(0, 30_000)])) <= 10_000


def test_no_items_are_no_shards() -> None:
    assert Marks().shards(10, [(0, 0)]) == []


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
