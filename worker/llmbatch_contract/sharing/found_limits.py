"""Limits that an endpoint shows by pushing back: they hold beside those that are stated, while they are less. Pure.

429 makes requests a minute fewer, overload and slowness requests in flight; once per burst. A found limit grows while
it is used up and nothing is pushed back, ever faster, and is forgotten when it no longer holds anybody back.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from llmbatch_contract.reports import PushBack, PushBackKind
from llmbatch_contract.sharing.amounts import CONCURRENCY, EVERYTHING, REQUESTS, UNBOUNDED, Vector
from llmbatch_contract.sharing.bursts import Bursts
from llmbatch_contract.sharing.facts import Key

_FACTORS = {PushBackKind.RATE_LIMITED: 0.8, PushBackKind.OVERLOADED: 0.7, PushBackKind.SLOW: 0.9}
_AT_MOST, _AT_LEAST = 0.95, 0.5
"""Of a limit that was found before."""
_GROWTH = 0.003
"""A second, in the first minute after a push-back; twice as much in each minute after that."""
_MOST_GROWTH = 0.05
_STEP = 0.02
"""A second, at least: small limits grow too."""
_DOUBLE_EVERY_S = 60.0
_LONGEST_STEP_S = 5.0
_FAR_ABOVE_USE = 2.0
_FORGET_AFTER_S = 60.0


@dataclass
class FoundLimit:
    """One of them; infinite while nothing is found."""

    amount: float = UNBOUNDED
    since: float | None = None
    bursts: Bursts = field(default_factory=Bursts)
    _pushed_back_at: float = float("-inf")
    _grown_at: float = float("-inf")
    _before: list[tuple[float, float]] = field(default_factory=list)
    """When it was lowered lately, and from what."""

    def lower(self, factor: float, used: float, now: float) -> None:
        """The endpoint pushed back when so much was used."""
        self._before = [*self._before[-9:], (now, self.amount)]
        wanted = factor * used
        if self.amount != UNBOUNDED:
            wanted = min(max(wanted, _AT_LEAST * self.amount), _AT_MOST * self.amount)
        self.amount = max(1.0, wanted)
        self.since = now if self.since is None else self.since
        self._pushed_back_at = self._grown_at = now

    def undo(self, since: float) -> None:
        """What was found since then was no sign of a limit."""
        for at, amount in self._before:
            if at >= since:
                self._become(amount)
                break
        self._before.clear()

    def grow(self, now: float, *, stated: float, used: float, is_used_up: bool) -> None:
        """To be called now and then."""
        passed = min(now - self._grown_at, _LONGEST_STEP_S)
        self._grown_at = now
        if self.amount == UNBOUNDED:
            return
        quiet_s = now - self._pushed_back_at
        if is_used_up:
            growth = min(_GROWTH * 2 ** min(quiet_s // _DOUBLE_EVERY_S, 30), _MOST_GROWTH)
            self.amount += max(self.amount * growth, _STEP) * passed
        is_far_above = stated == UNBOUNDED and quiet_s > _FORGET_AFTER_S and self.amount > _FAR_ABOVE_USE * used
        if self.amount >= stated or (is_far_above and not is_used_up):
            self._become(UNBOUNDED)

    def _become(self, amount: float) -> None:
        self.amount = amount
        if amount == UNBOUNDED:
            self.since = None


class FoundLimits:
    """Of one endpoint."""

    def __init__(self) -> None:
        self.of = {REQUESTS: FoundLimit(), CONCURRENCY: FoundLimit()}
        self.push_backs = dict.fromkeys(PushBackKind, 0)
        """Since the start."""
        self.slowdowns = 0
        """Bursts that made it slower."""

    def pushed_back(self, said: PushBack, used: Vector, workers: Iterable[Key], now: float) -> bool:
        """A worker tells of push-backs; `used` is by all workers. True if a limit is lower now."""
        self.push_backs[said.kind] += said.count
        d = REQUESTS if said.kind is PushBackKind.RATE_LIMITED else CONCURRENCY
        limit = self.of[d]
        if not limit.bursts.is_news(now - said.sent_ago_s, now):
            return False
        limit.lower(_FACTORS[said.kind], used[d], now)
        limit.bursts.began(workers, now)
        self.slowdowns += 1
        return True

    def undo(self, since: float) -> None:
        """The endpoint was down since then: failures were no push-backs."""
        for limit in self.of.values():
            limit.undo(since)

    def grow(self, now: float, stated: Vector, used: Vector, used_up: Vector) -> None:
        """To be called now and then; `used_up` is not 0 where somebody is held back."""
        for d, limit in self.of.items():
            limit.grow(now, stated=stated[d], used=used[d], is_used_up=used_up[d] > 0)

    @property
    def amounts(self) -> Vector:
        """What holds now."""
        found = list(EVERYTHING)
        for d, limit in self.of.items():
            found[d] = math.floor(limit.amount) if d == CONCURRENCY and limit.amount != UNBOUNDED else limit.amount
        return tuple(found)

    @property
    def since(self) -> float | None:
        """When the oldest of those that hold now was found."""
        return min((limit.since for limit in self.of.values() if limit.since is not None), default=None)
