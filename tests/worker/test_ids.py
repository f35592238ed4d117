"""Two items with the same id are found, wherever they are, and nothing else is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_contract.errors import DuplicateIdError
from llmbatch_worker.planning.ids import SeenIds, check_suspects


def _check(ids: list[str]) -> None:
    seen = SeenIds()
    for item_id in ids:
        seen.add(item_id)
    check_suspects(enumerate(ids, 1), seen.suspects(), "in.jsonl", "id")


@given(ids=st.lists(st.text(max_size=3), max_size=60))
def test_equal_ids_are_an_error_and_different_ones_are_not(ids: list[str]) -> None:
    if len(set(ids)) == len(ids):
        _check(ids)
    else:
        with pytest.raises(DuplicateIdError):
            _check(ids)


def test_the_error_names_both_lines() -> None:
    with pytest.raises(DuplicateIdError, match=r"in\.jsonl:4: id 'b' stands already on line 2"):
        _check(["a", "b", "c", "b", "a"])


def test_equal_ids_far_apart_are_found() -> None:
    with pytest.raises(DuplicateIdError, match=r"50001.* line 1"):
        _check([*map(str, range(50_000)), "0"])


def test_different_ids_with_equal_hashes_are_not_an_error() -> None:
    ids = ["a", "b", "c"]
    check_suspects(enumerate(ids, 1), frozenset(map(hash, ids)), "in.jsonl", "id")


def test_equal_ids_among_equal_hashes_are_an_error() -> None:
    ids = ["a", "b", "c", "b"]
    with pytest.raises(DuplicateIdError, match="line 2"):
        check_suspects(enumerate(ids, 1), frozenset(map(hash, ids)), "in.jsonl", "id")
