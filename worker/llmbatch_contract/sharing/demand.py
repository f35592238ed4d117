"""What a worker will use, judged by what it says and has used lately. Pure.

What a worker has used in ten seconds goes up and down by a request or two even if it always does the same. Where others
wait, it gets about what it uses; a worker that is held back gets more step by step, so that one that was held back by
chance does not take away what it will not use.
"""

import math
from dataclasses import dataclass

from llmbatch_contract.sharing.amounts import ALL, NOTHING, UNBOUNDED, Vector

_SMOOTH_S = 20.0
_RISE = 0.5
_REMEMBER_S = 60.0
_GROW_BY = 1.05
_STEP_BY_USE, _STEP_BY_GRANT = 4.0, 2.0
_YOUNG_S = 15.0
"""For so long what was used says little."""
_GROW = (2.0, 1.0, 1.0, 1.0)
_KEEP = (12.0, 2.0, 2.0, 1.0)
_KEEP_YOUNG = (24.0, 4.0, 4.0, 2.0)
_BEGIN = (30.0, 4.0, 4.0, 2.0)
"""Requests a minute, largest requests' tokens, and requests at once."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one worker wants."""

    firm: Vector
    """It will use this."""
    most: Vector
    """It could use this."""


@dataclass(slots=True)
class DemandMemory:
    """Of one worker."""

    at: float
    said: Vector = NOTHING
    used: Vector = NOTHING
    largest: float = 0.0
    _smooth: Vector = NOTHING
    _peak: Vector = NOTHING
    _began: float | None = None
    """When it had used something for the first time."""

    def heard(self, said: Vector, used: Vector, largest: float, now: float) -> None:
        """A report has come."""
        passed = max(0.0, now - self.at)
        fall, fade = math.exp(-passed / _SMOOTH_S), math.exp(-passed / _REMEMBER_S)
        self._smooth = tuple(
            old + (_RISE if new > old else 1 - fall) * (new - old) for new, old in zip(used, self._smooth, strict=True)
        )
        self._peak = tuple(max(new, fade * old) for new, old in zip(used, self._peak, strict=True))
        if self._began is None and any(used):
            self._began = now
        self.at, self.said, self.used, self.largest = now, said, used, largest

    def wanted(self, granted: Vector) -> Wanted:
        """Now; `granted` is what it may use already."""
        is_young = self._began is None or self.at - self._began < _YOUNG_S
        keep = _KEEP_YOUNG if is_young else _KEEP
        unit = (1.0, self.largest, self.largest, 1.0)
        firm, most = [0.0] * len(ALL), [0.0] * len(ALL)
        for d in ALL:
            kept = unit[d] * keep[d] if is_young else min(self._peak[d], unit[d] * keep[d])
            if self.said[d] == UNBOUNDED:
                steps = (_BEGIN[d] * unit[d], _STEP_BY_USE * self._smooth[d], _STEP_BY_GRANT * granted[d])
                firm[d], most[d] = UNBOUNDED if is_young else max(steps), UNBOUNDED
            elif self.said[d] > 0:
                most[d] = max(self.said[d], kept)
                firm[d] = min(most[d], max(_GROW_BY * self._smooth[d] + _GROW[d] * unit[d], kept))
        return Wanted(tuple(firm), tuple(most))
