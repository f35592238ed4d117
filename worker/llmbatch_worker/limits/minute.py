"""What was granted and what was used in each moment of the last minute, corrected as estimates are. Pure.

An estimate that turns out too high is given back when the answer comes, which may be long after others were sent in its
place. The pacer forgets when an amount was sent; here it counts in the moment in which it was.
"""

from llmbatch_worker.limits.largest import Largest

_PER_SECOND = 4
_MOMENTS = 60 * _PER_SECOND
_KEPT = _MOMENTS + 1
"""A minute begins within a moment: what was used in all of that counts, and nothing of what was granted."""


class Minute:
    """One limit of one worker."""

    def __init__(self) -> None:
        self._used = [0.0] * _KEPT
        self._granted = [0.0] * _KEPT
        self._all_used = self._all_granted = 0.0
        self._now: int | None = None
        self._granted_to: float | None = None
        self._largest = Largest()

    def grant(self, per_minute: float, now: float) -> None:
        """The rate was `per_minute` since the last time."""
        since = now if self._granted_to is None else max(self._granted_to, now - 60.0)
        self._granted_to = now
        self._move_to(now)
        while since < now:
            moment = int(since * _PER_SECOND)
            until = min(now, (moment + 1) / _PER_SECOND)
            if moment > int(now * _PER_SECOND) - _MOMENTS:
                self._granted[moment % _KEPT] += per_minute * (until - since) / 60
                self._all_granted += per_minute * (until - since) / 60
            since = until

    def use(self, amount: float, now: float) -> None:
        """An amount goes."""
        self._move_to(now)
        self._largest.note(amount, now)
        self._add(amount, now)

    def correct(self, unused: float, sent_at: float, now: float) -> None:
        """Of what went at `sent_at`, so much was not used."""
        self._move_to(now)
        if int(sent_at * _PER_SECOND) > int(now * _PER_SECOND) - _KEPT:
            self._add(-unused, sent_at)

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until there may be room for an amount, one of the largest beyond what was granted."""
        self._move_to(now)
        most = self._all_granted + max(amount, self._largest.last_minute(now))
        if self._all_used + amount <= most * (1 + 1e-9):
            return 0.0
        return 1 / _PER_SECOND

    def _add(self, amount: float, at: float) -> None:
        self._used[int(at * _PER_SECOND) % _KEPT] += amount
        self._all_used += amount

    def _move_to(self, now: float) -> None:
        """Forget what is older than a minute."""
        moment = int(now * _PER_SECOND)
        if moment == self._now:
            return
        last = moment - _KEPT if self._now is None else max(self._now, moment - _KEPT)
        for each in range(last + 1, moment + 1):
            used, granted = each % _KEPT, (each - _MOMENTS) % _KEPT
            self._all_used -= self._used[used]
            self._all_granted -= self._granted[granted]
            self._used[used] = self._granted[granted] = 0.0
        self._now = moment if self._now is None else max(self._now, moment)
