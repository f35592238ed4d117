"""The largest amount of the last minute or two. Pure: time is an argument."""

_SPAN_S = 60.0


class Largest:
    """Forgets an amount no sooner than a minute after it, and no later than two."""

    def __init__(self) -> None:
        self._now = self._before = 0.0
        self._since = float("-inf")

    def note(self, amount: float, now: float) -> None:
        """Take in an amount."""
        self._move_to(now)
        self._now = max(self._now, amount)

    def last_minute(self, now: float) -> float:
        """The largest; 0 if there was none."""
        self._move_to(now)
        return max(self._now, self._before)

    def _move_to(self, now: float) -> None:
        if now - self._since < _SPAN_S:
            return
        self._before = self._now if now - self._since < 2 * _SPAN_S else 0.0
        self._now, self._since = 0.0, now
