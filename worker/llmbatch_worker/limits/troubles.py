"""Whether the endpoint answers at all, as far as one worker can see. Pure: time is an argument.

An item that breaks the connection again and again is that item's trouble, not the endpoint's: only failures of several
items count that did not fail so before, or those that found nobody to talk to.
"""

from llmbatch_contract.categories import Category
from llmbatch_contract.reports import Trouble

_LEAST_S = 5.0
_LEAST_FAILURES = 3
_LEAST_ITEMS = 2


class Troubles:
    """The failures in a row since the last answer."""

    def __init__(self) -> None:
        self.row = 0
        """Number of the row; another one begins with each answer after failures."""
        self.was_reached = False
        """It has answered something, be it that it cannot."""
        self._failures = 0
        self._items: set[int] = set()
        self._found_somebody = False
        self._since = 0.0
        self._category, self._message = Category.UNKNOWN, ""

    def answered(self) -> None:
        """The endpoint has answered something that tells that it works."""
        self.was_reached = True
        self.forget()

    def forget(self) -> None:
        """Failures so far say nothing any more."""
        if self._failures:
            self.row += 1
        self._failures, self._found_somebody = 0, False
        self._items.clear()

    def failed(
        self, item: int, category: Category, message: str, *, absent: bool, is_suspect: bool, now: float
    ) -> None:
        """A request about an item failed by the connection, or by 5xx.

        `absent`: no connection could be made. `is_suspect`: the item failed so before.
        """
        if not self._failures:
            self._since = now
        self._failures += 1
        self.was_reached |= category is not Category.CONNECTION
        self._found_somebody |= not absent
        if not is_suspect and len(self._items) < _LEAST_ITEMS:
            self._items.add(item)
        self._category, self._message = category, message

    def trouble(self, now: float, *, is_known: bool = False) -> Trouble | None:
        """What is worth telling; of a known outage, everything is."""
        for_s = now - self._since
        if not self._failures or not (is_known or self._is_grave(for_s)):
            return None
        return Trouble(category=self._category, message=self._message, failures=self._failures, for_s=for_s)

    def _is_grave(self, for_s: float) -> bool:
        is_an_items = self._found_somebody and len(self._items) < _LEAST_ITEMS
        return self._failures >= _LEAST_FAILURES and for_s >= _LEAST_S and not is_an_items
