"""Two items with the same id are found, wherever they are, and nothing else is."""

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbatch_contract.errors import DuplicateIdError
from llmbatch_worker.planning import ids as ids_module
from llmbatch_worker.planning.ids import Place, SeenIds, Suspects, check_suspects


@pytest.fixture(params=[None, 5], ids=["in memory", "on disk"])
def most_hashes(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param is not None:
            patch.setattr(ids_module, "_MOST_HASHES", request.param)
            patch.setattr(ids_module, "_MOST_BYTES", 1500)
            patch.setattr(ids_module, "_BUCKETS", 3)
        yield


def _check(ids: list[str], *, at_a_time: int = 3) -> None:
    with SeenIds() as seen:
        for at in range(0, len(ids), at_a_time):
            seen.add(ids[at : at + at_a_time])
        suspects = seen.suspects()
    check_suspects(_places(ids), suspects, "id")


def _places(ids: list[str]) -> Iterator[tuple[Place, str]]:
    return ((Place("in.jsonl", line), item_id) for line, item_id in enumerate(ids, 1))


def _all(ids: list[str]) -> Suspects:
    suspects = Suspects(len(ids))
    for number in range(len(ids)):
        suspects.add(number)
    return suspects


@pytest.mark.usefixtures("most_hashes")
@settings(max_examples=200, deadline=None)
@given(ids=st.lists(st.text("ab\n\r\u2028é", max_size=3), max_size=60), at_a_time=st.integers(1, 20))
def test_equal_ids_are_an_error_that_names_the_first_and_counts_them(ids: list[str], at_a_time: int) -> None:
    repeats = sum(Counter(ids).values()) - len(set(ids))
    if not repeats:
        _check(ids, at_a_time=at_a_time)
        return
    first = next(n for n, item_id in enumerate(ids) if item_id in ids[:n])
    with pytest.raises(DuplicateIdError) as caught:
        _check(ids, at_a_time=at_a_time)
    many = "no other item repeats one" if repeats == 1 else f"{repeats} items repeat an id"
    assert str(caught.value) == (
        f"in.jsonl:{first + 1}: id {ids[first]!r} stands already on line {ids.index(ids[first]) + 1}; "
        f"ids must be unique, and {many}"
    )


def test_an_id_that_stands_in_two_files_is_shown_with_both() -> None:
    places = [(Place("a.csv", 7), "x"), (Place("b.csv", 2), "x")]
    with pytest.raises(DuplicateIdError, match=r"^b\.csv:2: id 'x' stands already in a\.csv:7; ids must be unique"):
        check_suspects(iter(places), _all(["x", "x"]), "id")


@pytest.mark.usefixtures("most_hashes")
def test_equal_ids_far_apart_are_found() -> None:
    with pytest.raises(DuplicateIdError, match=r"5001.* line 1"):
        _check([*map(str, range(5_000)), "0"])


def test_different_ids_with_equal_hashes_are_not_an_error() -> None:
    ids = ["a", "b", "c"]
    check_suspects(_places(ids), _all(ids), "id")


def test_equal_ids_among_equal_hashes_are_an_error() -> None:
    ids = ["a", "b", "c", "b"]
    with pytest.raises(DuplicateIdError, match="line 2"):
        check_suspects(_places(ids), _all(ids), "id")
