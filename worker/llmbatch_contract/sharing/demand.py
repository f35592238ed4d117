"""What a worker will use, judged by what it says and has used lately. Pure.

Requests and tokens go together: a worker is taken to want some requests a minute, and of tokens what that many need.
What it has used in ten seconds goes up and down by a request or two even if it always does the same. Where others
wait, it gets about what it uses; a worker that is held back gets more step by step, so that one that was held back by
chance does not take away what it will not use.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

from llmbatch_contract.sharing.amounts import CONCURRENCY, NOTHING, RATES, REQUESTS, UNBOUNDED, Vector

_SMOOTH_S = 20.0
_RISE = 0.5
_REMEMBER_S = 60.0
_EACH_S = 30.0
_GROW_BY, _GROW = 1.05, 1.0
_STEP_BY_USE, _STEP_BY_GRANT = 4.0, 2.0
_BEGIN, _BEGIN_AT_ONCE = 30.0, 4.0
"""Requests a minute, and requests at once."""
_KEEP_AT_ONCE, _KEEP_AT_ONCE_YOUNG = 1.0, 2.0
_YOUNG_S = 15.0
"""For so long what was used says little."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one worker wants."""

    firm: Vector
    """It will use this."""
    most: Vector
    """It could use this."""
    each: Vector
    """What a request takes of each rate; 0: not known."""


@dataclass(slots=True)
class DemandMemory:
    """Of one worker."""

    at: float
    said: Vector = NOTHING
    used: Vector = NOTHING
    largest: float = 0.0
    possible: float = UNBOUNDED
    """Requests a minute that it could send if nothing held it back."""
    _smooth: Vector = NOTHING
    _peak_at_once: float = 0.0
    _sums: Vector = NOTHING
    """Of what was used, the latest counting most."""
    _began: float | None = None
    """When it had used something for the first time."""

    def heard(self, said: Vector, used: Vector, largest: float, possible: float, now: float) -> None:
        """A report has come."""
        passed = max(0.0, now - self.at)
        fall, fade, forget = (math.exp(-passed / span_s) for span_s in (_SMOOTH_S, _REMEMBER_S, _EACH_S))
        self._smooth = tuple(
            old + (_RISE if new > old else 1 - fall) * (new - old) for new, old in zip(used, self._smooth, strict=True)
        )
        self._sums = tuple(forget * old + passed * new for new, old in zip(used, self._sums, strict=True))
        self._peak_at_once = max(used[CONCURRENCY], fade * self._peak_at_once)
        if self._began is None and any(used):
            self._began = now
        self.at, self.said, self.used, self.largest, self.possible = now, said, used, largest, possible

    def wanted(self, granted: Vector, among: Collection[int]) -> Wanted:
        """Now; `granted` is what it may use already, `among` are the limits that there are."""
        is_young = self._began is None or self.at - self._began < _YOUNG_S
        each = self._each()
        rates = [d for d in RATES if d in among]
        firm, most = self._requests(granted, each, rates, is_young=is_young)
        firm_at_once, most_at_once = self._at_once(granted, is_young=is_young)
        return Wanted(
            (*(self._worth(firm, each, d) for d in RATES), firm_at_once),
            (*(self._worth(most, each, d) for d in RATES), most_at_once),
            each,
        )

    def _each(self) -> Vector:
        requests = self._sums[REQUESTS]
        if requests <= 0:
            return (1.0, self.largest, self.largest, 0.0)
        return (1.0, self._sums[1] / requests, self._sums[2] / requests, 0.0)

    def _worth(self, requests: float, each: Vector, d: int) -> float:
        """What so many requests take."""
        if requests <= 0:
            return 0.0
        return requests * each[d] if each[d] > 0 else self.said[d]

    def _requests(
        self, granted: Vector, each: Vector, rates: Collection[int], *, is_young: bool
    ) -> tuple[float, float]:
        """What it will send for sure, and what it could."""
        said = [self.said[d] for d in rates]
        if not said or min(said) <= 0:
            return 0.0, 0.0
        if UNBOUNDED not in said:  # no rate holds it back
            most = min(self.possible, *(self.said[d] / each[d] if each[d] > 0 else UNBOUNDED for d in rates))
            return (most if is_young else min(most, _GROW_BY * self._smooth[REQUESTS] + _GROW)), most
        if is_young:
            return self.possible, self.possible
        has = min((granted[d] / each[d] for d in rates if each[d] > 0), default=0.0)
        steps = (_BEGIN, _STEP_BY_USE * self._smooth[REQUESTS], _STEP_BY_GRANT * has)
        return min(self.possible, max(steps)), self.possible

    def _at_once(self, granted: Vector, *, is_young: bool) -> tuple[float, float]:
        said, smooth = self.said[CONCURRENCY], self._smooth[CONCURRENCY]
        if said == UNBOUNDED:
            steps = (_BEGIN_AT_ONCE, _STEP_BY_USE * smooth, _STEP_BY_GRANT * granted[CONCURRENCY])
            return (UNBOUNDED if is_young else max(steps)), UNBOUNDED
        if said <= 0:
            return 0.0, 0.0
        kept = _KEEP_AT_ONCE_YOUNG if is_young else min(self._peak_at_once, _KEEP_AT_ONCE)
        most = max(said, kept)
        return min(most, max(_GROW_BY * smooth + _GROW, kept)), most
