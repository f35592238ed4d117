"""Failed items by category: all categories, where the status lists only the commonest. Pure."""

from collections.abc import Iterable

from llmbatch_contract.categories import NEVER_ASKED, Category
from llmbatch_contract.pods import FinalCounts
from llmbatch_contract.progress import Totals
from llmbatch_contract.status import LLMBatchStatus


def failures(status: LLMBatchStatus, totals: Totals, final: FinalCounts | None) -> dict[str, int]:
    """Of the items that `status` counts as failed: by whoever knows of all, else those that the status lists.

    What workers have said may be ahead of the status, or after a restart behind it: then it is not what it shows.
    """
    failed = status.items.failed if status.items is not None else 0
    known = (
        _counts((e.category, e.count) for e in final.errors) if final is not None else {},
        _counts(totals.errors.items()),
    )
    listed = _counts((e.category, e.count) for e in status.errors)

    def are_those(counts: dict[str, int]) -> bool:
        return sum(counts.values()) == failed and all(counts.get(c, 0) >= n for c, n in listed.items())

    return next(filter(are_those, known), listed)


def _counts(errors: Iterable[tuple[Category, int]]) -> dict[str, int]:
    return {category.value: count for category, count in errors if count and category not in NEVER_ASKED}
