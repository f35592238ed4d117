"""A clock for leases that a leap of the real one cannot end early. Pure."""

_MOST_AT_ONCE_S = 5.0
"""Far less than a lease's margin. Reports come every few seconds, so longer pauses are leaps, or this was stopped."""


class SteadyClock:
    """Goes on by no more than _MOST_AT_ONCE_S between two looks, and never back."""

    def __init__(self, now: float) -> None:
        self._seen = now
        self._time = 0.0

    def at(self, now: float) -> float:
        """Seconds that have surely passed."""
        self._time += min(max(0.0, now - self._seen), _MOST_AT_ONCE_S)
        self._seen = now
        return self._time
