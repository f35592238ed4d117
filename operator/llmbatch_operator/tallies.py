"""Why items failed, as the status lists it: the commonest categories, each with one item to show. Pure."""

from llmbatch_contract.categories import NEVER_ASKED
from llmbatch_contract.pods import ErrorCount
from llmbatch_contract.progress import Totals
from llmbatch_contract.status import ErrorTally
from llmbatch_operator.shown import short

_MOST = 5
_SAMPLE_CHARS, _ID_CHARS = 200, 100
"""Whatever endpoints say and items are called, a status stays a few kilobytes."""


def tallies_so_far(totals: Totals, old: list[ErrorTally]) -> list[ErrorTally]:
    """Of a batch that runs. The old stand while less of them is known: after a restart pods may be gone for ever."""
    if any(totals.errors.get(tally.category, 0) < tally.count for tally in old):
        return old
    commonest = sorted(totals.errors.items(), key=lambda e: (-e[1], e[0]))[:_MOST]
    return [_tally(ErrorCount(category=c, count=n, sample=totals.samples.get(c))) for c, n in commonest]


def final_tallies(errors: list[ErrorCount]) -> list[ErrorTally]:
    """Of a batch that has ended, from the commonest down."""
    return [_tally(error) for error in sorted(errors, key=_is_a_consequence)[:_MOST]]


def _is_a_consequence(error: ErrorCount) -> bool:
    """Items that nobody asked about any more: there are many, and they explain nothing."""
    return error.category in NEVER_ASKED


def _tally(error: ErrorCount) -> ErrorTally:
    return ErrorTally(
        category=error.category,
        count=error.count,
        sample_item=short(error.sample.item_id, _ID_CHARS) if error.sample is not None else None,
        sample_message=short(error.sample.message, _SAMPLE_CHARS) if error.sample is not None else None,
    )
