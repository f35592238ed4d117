"""Spends an amount per minute evenly, so that no sliding window of a minute ever holds more than the limit. Pure.

A virtual clock (GCRA, as in ATM Forum TM 4.0, section 4.4.2): each amount pushes the clock on by the time it is worth,
and the next may go when real time has caught up. Time is an argument, in seconds of a monotonic clock.
"""

_USED_SHARE = 0.99
_CATCH_UP_S = 0.1
"""How far spending may run behind and still catch up; well below the 1 % of a minute that is left unused."""
_LEAST_SHARE = 0.5
_FORGET = 0.999


class Pacer:
    """One limit per minute. None: no limit."""

    def __init__(self, per_minute: float | None = None) -> None:
        self.per_minute = per_minute
        self._clock = float("-inf")
        self._largest = 0.0

    def wait_s(self, now: float, amount: float = 1.0) -> float:
        """Seconds until an amount may go."""
        if self.per_minute is None:
            return 0.0
        if self.per_minute <= 0:
            return float("inf")
        if amount > 1 and self._clock == float("-inf"):  # others may begin at the same moment
            self._clock = now
        in_advance = max(0.0, amount - max(self._largest, 1.0)) / self._per_second(amount)
        return max(0.0, self._clock + in_advance - now)

    def take(self, amount: float, now: float) -> None:
        """Spend an amount."""
        if self.per_minute is None or self.per_minute <= 0:
            return
        if amount > 1:
            self._largest = max(amount, self._largest * _FORGET)
        self._clock = max(self._clock, now - _CATCH_UP_S) + amount / self._per_second(amount)

    def give_back(self, amount: float) -> None:
        """Correct an estimate: what was not used after all, or (negative) what was used beyond it."""
        if self.per_minute is not None and self.per_minute > 0:
            self._clock -= amount / self._per_second(0.0)

    def _per_second(self, amount: float) -> float:
        """A window can hold one amount more than its length is worth, so the largest is kept free (1 is in the 1 %).

        An amount larger than all before waits for the difference in advance.
        """
        assert self.per_minute is not None
        largest = max(self._largest, amount if amount > 1 else 0.0)
        spent = min(_USED_SHARE * self.per_minute, 0.995 * (self.per_minute - largest))
        return max(spent, _LEAST_SHARE * self.per_minute) / 60
