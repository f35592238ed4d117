"""What counts against an item that failed while the endpoint answered nothing at all. Pure.

Failures in a row are numbered: another row begins when the endpoint has answered somebody. What failed in a row that
turns out to be an outage counts for nothing.
"""

from dataclasses import dataclass
from typing import Protocol


class Counted(Protocol):
    """An item and what counts against it."""

    attempts: int
    blameless: int
    excused: int
    silence: "Silence | None"


@dataclass(frozen=True, slots=True)
class Silence:
    """An item's part in a row of failures, and how it stood before."""

    row: int
    is_suspect: bool
    """It failed so in an earlier row, too: while the endpoint answered others."""
    attempts: int
    blameless: int
    excused: int
    was_outage: bool = False


def note_silence(item: Counted, row: int) -> bool:
    """The item's attempt failed in this row; not counted yet. True if it may be the item's own fault."""
    known = item.silence
    if known is None or known.row != row:
        is_suspect = known is not None and not known.was_outage
        item.silence = known = Silence(row, is_suspect, item.attempts - 1, item.blameless, item.excused)
    return known.is_suspect


def excuse(item: Counted, row: int, *, but_one: bool) -> None:
    """The row was an outage: nothing of it counts, or only the last attempt, as one without blame."""
    known = item.silence
    if known is None or known.row != row:
        return
    item.blameless = known.blameless + but_one
    item.excused = known.excused + item.attempts - known.attempts - but_one
    item.silence = Silence(row, known.is_suspect, item.attempts, item.blameless, item.excused, was_outage=True)
