"""Where shards read an input, which columns of it, and how Parquet is cut."""

from dataclasses import replace
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_contract.output import Output
from llmbatch_contract.plan import Shard
from llmbatch_contract.spec import InputFormat, Packing
from llmbatch_worker.planning.choices import InputTraits, columns_to_read, is_read_in_place
from llmbatch_worker.planning.groups import shards_of_groups

_PLAIN = InputTraits(InputFormat.JSONL, Packing.NONE, is_for_all=True, has_versions=True, drops_items=False)
_PARQUET = replace(_PLAIN, format=InputFormat.PARQUET, shard_items=1000)


@pytest.mark.parametrize(
    ("traits", "in_place"),
    [
        pytest.param(_PLAIN, True, id="plain JSON lines"),
        pytest.param(replace(_PLAIN, format=InputFormat.CSV), True, id="plain CSV"),
        pytest.param(replace(_PLAIN, format=InputFormat.OPENAI), True, id="plain requests"),
        pytest.param(replace(_PLAIN, packing=Packing.GZIP), False, id="gzip"),
        pytest.param(replace(_PLAIN, packing=Packing.ZSTD), False, id="zstd"),
        pytest.param(replace(_PLAIN, is_for_all=False), False, id="what only the planner has"),
        pytest.param(replace(_PLAIN, has_versions=False), False, id="a server without ETags"),
        pytest.param(replace(_PLAIN, drops_items=True), False, id="a selection"),
        pytest.param(replace(_PLAIN, objects=1000, size=1000), True, id="a thousand small objects"),
        pytest.param(replace(_PLAIN, objects=1001, size=1001 << 15), False, id="more than a thousand small objects"),
        pytest.param(replace(_PLAIN, objects=1001, size=1001 << 16), True, id="more than a thousand large objects"),
        pytest.param(replace(_PARQUET, largest_group=10_000), True, id="Parquet with small groups"),
        pytest.param(replace(_PARQUET, largest_group=10_001), False, id="Parquet with groups of ten shards"),
        pytest.param(replace(_PARQUET, largest_group=40_000, shard_items=10_000), True, id="groups of four shards"),
        pytest.param(replace(_PARQUET, largest_group=40_001, shard_items=10_000), False, id="groups a bit larger"),
        pytest.param(replace(_PARQUET, largest_group=10, drops_items=True), False, id="a selection of Parquet"),
    ],
)
def test_shards_read_the_objects_themselves_where_that_is_cheap(traits: InputTraits, in_place: bool) -> None:
    assert is_read_in_place(traits) is in_place


@pytest.mark.parametrize(
    ("output", "columns"),
    [
        pytest.param({}, ["b"], id="what templates use"),
        pytest.param({"format": "parquet"}, ["b"], id="Parquet out of Parquet, without the input"),
        pytest.param({"includeInput": True}, ["a", "b", "c"], id="all, as the input"),
        pytest.param({"format": "csv"}, ["a", "b", "c"], id="all, as columns"),
        pytest.param({"format": "csv", "fields": ["c", "ai_output"]}, ["b", "c"], id="some, as columns"),
        pytest.param({"includeInput": True, "fields": ["id", "input"]}, ["a", "b", "c"], id="the input whole"),
        pytest.param({"fields": ["id", "c"]}, ["b"], id="a field of the record that is called as a column"),
    ],
)
def test_only_columns_that_are_needed_are_read(output: dict[str, Any], columns: list[str]) -> None:
    assert columns_to_read(["a", "b", "c"], {"b", "x"}, Output.model_validate(output)) == columns


_GROUPS = st.lists(st.lists(st.integers(0, 60), max_size=6), min_size=1, max_size=5)


@given(groups=_GROUPS, size=st.integers(1, 50), limit=st.none() | st.integers(0, 400))
def test_shards_of_row_groups_cover_the_rows(groups: list[list[int]], size: int, limit: int | None) -> None:
    rows = [(number, row) for number, of in enumerate(groups) for row in range(sum(of))][:limit]
    shards = shards_of_groups(groups, size, limit)
    found = [row for shard in shards for row in _rows(shard, groups)]
    assert found == rows
    assert [s.items for s in shards] == [len(_rows(shard, groups)) for shard in shards]
    assert [s.first_item for s in shards] == [0, *accumulate(s.items for s in shards)][: len(shards)]
    assert [s.number for s in shards] == list(range(len(shards)))
    assert all(0 < s.items <= 4 * size for s in shards)


def _rows(shard: Shard, groups: list[list[int]]) -> list[tuple[int, int]]:
    return [
        (number, row)
        for number in range(shard.first_object, shard.last_object + 1)
        for row in range(
            shard.start if number == shard.first_object else 0,
            shard.end if number == shard.last_object else sum(groups[number]),
        )
    ]


@pytest.mark.parametrize(
    ("groups", "size", "items"),
    [
        pytest.param([[1000, 1000, 500]], 1000, [1000, 1000, 500], id="groups of a shard"),
        pytest.param([[3000, 3000]], 1000, [3000, 3000], id="groups of three shards are not cut"),
        pytest.param([[600, 600, 600]], 1000, [600, 600, 600], id="groups of more than half a shard"),
        pytest.param([[300] * 7], 1000, [900, 900, 300], id="small groups are put together"),
        pytest.param([[400], [400], [400]], 1000, [800, 400], id="also of several objects"),
        pytest.param([[5000]], 1000, [1000] * 5, id="a group of more than four shards is cut"),
        pytest.param([[100, 5000]], 1000, [100 + 1000, 1000, 1000, 1000, 1000], id="a small group before a large one"),
        pytest.param([[]], 1000, [], id="no rows"),
    ],
)
def test_shards_end_where_row_groups_do(groups: list[list[int]], size: int, items: list[int]) -> None:
    assert [s.items for s in shards_of_groups(groups, size)] == items


def test_many_row_groups_make_larger_shards() -> None:
    shards = shards_of_groups([[1] * 25_000], 1)
    assert len(shards) <= 10_000
    assert sum(s.items for s in shards) == 25_000
