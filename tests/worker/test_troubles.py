"""When failures in a row are the endpoint's, and what then counts against an item."""

from dataclasses import dataclass

import pytest

from llmbatch_contract.categories import Category
from llmbatch_contract.reports import Trouble
from llmbatch_worker.limits.troubles import Troubles
from llmbatch_worker.silence import Silence, excuse, note_silence


@dataclass
class _Item:
    attempts: int = 0
    blameless: int = 0
    excused: int = 0
    silence: Silence | None = None


def _seen(*failures: tuple[float, int], absent: bool = False, suspects: tuple[int, ...] = ()) -> Troubles:
    """Failures at a time, of an item."""
    troubles = Troubles()
    for now, item in failures:
        troubles.failed(
            item, Category.CONNECTION, "cannot connect", absent=absent, is_suspect=item in suspects, now=now
        )
    return troubles


def test_several_failures_of_several_items_over_some_seconds_are_trouble() -> None:
    troubles = _seen((10, 1), (11, 2), (12, 1))
    assert troubles.trouble(14.9) is None
    assert troubles.trouble(15) == Trouble(category=Category.CONNECTION, message="cannot connect", failures=3, for_s=5)


@pytest.mark.parametrize(
    "troubles",
    [
        pytest.param(_seen((0, 1), (1, 2)), id="only two failures"),
        pytest.param(_seen((0, 1), (1, 1), (2, 1), (3, 1)), id="one item only"),
        pytest.param(_seen((0, 1), (1, 2), (2, 1), suspects=(2,)), id="one item, and one that failed so before"),
        pytest.param(_seen(), id="no failure"),
    ],
)
def test_these_are_none(troubles: Troubles) -> None:
    assert troubles.trouble(1000) is None


def test_that_nobody_can_be_connected_to_is_no_fault_of_an_item() -> None:
    assert _seen((0, 1), (1, 1), (2, 1), absent=True).trouble(6) is not None


def test_in_a_known_outage_every_failure_is_told() -> None:
    assert _seen((0, 1)).trouble(0, is_known=True) is not None


def test_an_answer_ends_the_row() -> None:
    troubles = _seen((0, 1), (1, 2), (2, 1))
    row = troubles.row
    troubles.answered()
    assert (troubles.trouble(100), troubles.row, troubles.was_reached) == (None, row + 1, True)
    troubles.answered()
    assert troubles.row == row + 1


def test_an_item_that_failed_while_others_were_answered_is_suspect() -> None:
    item = _Item()
    assert [note_silence(item, row) for row in (1, 1, 2, 2, 3)] == [False, False, True, True, True]


def test_what_failed_in_an_outage_counts_for_nothing_also_from_before_it_was_known() -> None:
    item = _Item(attempts=2, blameless=1)
    for _ in range(3):
        item.attempts += 1
        note_silence(item, 7)
        item.blameless += 1  # nobody knew yet
    item.attempts += 1
    note_silence(item, 7)
    excuse(item, 7, but_one=False)
    assert (item.attempts, item.blameless, item.excused) == (6, 1, 4)
    for _ in range(2):
        item.attempts += 1
        note_silence(item, 7)
        excuse(item, 7, but_one=True)
    assert (item.attempts, item.blameless, item.excused) == (8, 3, 4)


def test_after_an_outage_its_items_are_not_suspect() -> None:
    item = _Item(attempts=1)
    note_silence(item, 7)
    excuse(item, 7, but_one=False)
    item.attempts += 1
    assert not note_silence(item, 8)


@pytest.mark.parametrize(
    ("category", "was_reached"),
    [(Category.CONNECTION, False), (Category.OVERLOADED, True), (Category.SERVER_ERROR, True)],
)
def test_an_endpoint_that_says_that_it_cannot_was_reached(category: Category, was_reached: bool) -> None:
    troubles = Troubles()
    troubles.failed(1, category, "no", absent=False, is_suspect=False, now=0)
    assert troubles.was_reached is was_reached
