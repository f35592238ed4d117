"""An exact sliding window: never more than `allowed` in any stretch of `window_s` seconds.

The limits ask `fits` and then `charge`; the clock is an argument. An entry leaves the window `window_s`
after it came. Work per request is O(1) amortised (O(log n) to tell a rejected one how long to wait), and
there are never more entries than are in the window.
"""

from bisect import bisect_left


class SlidingWindow:
    """`allowed` and `window_s` may change at any time; what was charged before still counts."""

    def __init__(self, allowed: int, window_s: float) -> None:
        self.allowed = allowed
        self.window_s = window_s
        # Running totals rather than amounts, so that a wait is found by bisection.
        self._times: list[float] = []
        self._totals: list[int] = []
        self._head = 0
        self._left_total = 0

    def __len__(self) -> int:
        return len(self._times) - self._head

    def used(self, now: float) -> int:
        self._forget(now)
        return self._totals[-1] - self._left_total if self._totals else 0

    def remaining(self, now: float) -> int:
        return max(0, self.allowed - self.used(now))

    def fits(self, amount: int, now: float) -> bool:
        return self.used(now) + amount <= self.allowed

    def charge(self, amount: int, now: float) -> None:
        total = self._totals[-1] if self._totals else self._left_total
        self._times.append(now)
        self._totals.append(total + amount)

    def wait_s(self, amount: int, now: float) -> float:
        """Until `amount` fits, if nothing else is charged. An amount that never fits waits a whole window."""
        excess = self.used(now) + amount - self.allowed
        if excess <= 0:
            return 0.0
        if amount > self.allowed:
            return self.window_s
        leaves = bisect_left(self._totals, self._left_total + excess, lo=self._head)
        return self._times[leaves] + self.window_s - now

    def reset_s(self, now: float) -> float:
        """Until the window is empty again, if nothing else is charged."""
        self._forget(now)
        return self._times[-1] + self.window_s - now if len(self) else 0.0

    def _forget(self, now: float) -> None:
        head, count = self._head, len(self._times)
        while head < count and self._times[head] + self.window_s <= now:
            self._left_total = self._totals[head]
            head += 1
        self._head = head
        if head * 2 > count:
            del self._times[:head], self._totals[:head]
            self._head = 0
