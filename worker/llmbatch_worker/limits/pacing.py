"""Spends an amount per minute evenly. Pure: time is an argument, in seconds of a clock that never goes back.

A leaky bucket (GCRA, as in ATM Forum TM 4.0, section 4.4.2): what is spent is owed, the rate pays it off, and the next
may go when nothing is owed. So a minute holds no more than the rate is worth plus the largest amount, which whoever
gives the rate keeps free. The rate may change at any time: what is owed stays owed.
"""

from llmbatch_worker.limits.minute import Minute

_USED_SHARE = 0.998
_SOON_S = 1e-6


class Pacer:
    """One limit per minute. None: no limit."""

    _catch_up_s = 0.1
    """How far spending may run behind and still catch up; a little less than the share of a minute left unused."""

    def __init__(self, per_minute: float | None = None) -> None:
        self._per_minute = per_minute
        self._owed = 0.0
        self._at: float | None = None

    @property
    def per_minute(self) -> float | None:
        """The rate."""
        return self._per_minute

    def change(self, per_minute: float | None, now: float) -> None:
        """Another rate holds from now on."""
        self._settle(now)
        self._per_minute = per_minute

    def wait_s(self, now: float, amount: float = 1.0) -> float:
        """Seconds until an amount may go."""
        if self._per_minute is None:
            return 0.0
        if self._per_minute <= 0:
            return float("inf")
        self._settle(now)
        return max(0.0, self._owed / self._per_second)

    def take(self, amount: float, now: float) -> None:
        """Spend an amount; what the rate was worth while nobody spent it is not saved up."""
        if self._per_minute is not None:
            self._settle(now)
            self._owed = max(self._owed, -self._catch_up_s * self._per_second) + amount

    @property
    def _per_second(self) -> float:
        return _USED_SHARE * (self._per_minute or 0.0) / 60

    def _settle(self, now: float) -> None:
        """Pay off what the rate was worth since the last time."""
        if self._at is not None:
            self._owed -= self._per_second * (now - self._at)
        self._at = now


class TokenPacer(Pacer):
    """A limit on amounts that differ, and are estimates at first, corrected later.

    Where requests are limited too, large ones wait for tokens and small ones do not use them up; so it may run further
    behind and catch up. What is used within a minute is counted beside that.
    """

    _catch_up_s = 5.0

    def __init__(self, per_minute: float | None = None) -> None:
        super().__init__(per_minute)
        self._minute = Minute()

    def change(self, per_minute: float | None, now: float) -> None:
        """Another rate holds from now on."""
        if self._per_minute is None:
            self._minute = Minute()
        self._minute.grant(self._per_minute or 0.0, now)
        super().change(per_minute, now)

    def wait_s(self, now: float, amount: float = 1.0) -> float:
        """Seconds until an amount may go."""
        paced_s = super().wait_s(now, amount)
        if self._per_minute is None or paced_s > _SOON_S:
            return paced_s
        self._minute.grant(self._per_minute, now)
        return max(paced_s, self._minute.wait_s(amount, now))

    def take(self, amount: float, now: float) -> None:
        """Spend an amount; what the rate was worth while nobody spent it is not saved up."""
        super().take(amount, now)
        if self.per_minute is not None:
            self._minute.use(amount, now)

    def give_back(self, amount: float, sent_at: float, now: float) -> None:
        """Correct the estimate of what was spent at `sent_at`: what was not used, or (negative) used beyond it."""
        if self._per_minute is not None:
            self._minute.correct(amount, sent_at, now)
            self._settle(now)
            self._owed -= amount
