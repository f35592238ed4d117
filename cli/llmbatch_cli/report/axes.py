"""Scales and ticks of charts. Pure."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from llmbatch_cli.report import wording

_TIME_STEPS = (
    0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200,
    86_400, 172_800, 604_800, 1_209_600, 2_592_000,
)  # fmt: skip

_FACTORS: tuple[tuple[int, ...], ...] = ((1, 2, 5), (1, 3))


@dataclass(frozen=True)
class Axis:
    """One direction of a chart."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    is_log: bool = False

    def at(self, value: float) -> float:
        """Where a value lies, from 0 to 1."""
        low, high = self._flat(self.low), self._flat(self.high)
        return min(1.0, max(0.0, (self._flat(value) - low) / (high - low)))

    def _flat(self, value: float) -> float:
        return math.log(max(value, 1e-9)) if self.is_log else value


def amounts(
    most: float, label: Callable[[float], str] = wording.compact, wanted: int = 4, *, is_tight: bool = False
) -> Axis:
    """From 0 to a round number that holds the most; a tight one ends a little above the most."""
    step = _round_step(max(most, 1e-9) / wanted)
    count = max(1, (math.floor if is_tight else math.ceil)(most / step + (1e-9 if is_tight else -1e-9)))
    return Axis(
        0,
        max(most * 1.1, 1e-9) if is_tight else count * step,
        tuple((n * step, label(n * step)) for n in range(count + 1)),
    )


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= least * (1 - 1e-9))


def seconds(end: float, wanted: int = 5) -> Axis:
    """Time since the start."""
    end = max(end, 0.1)
    step = next((s for s in _TIME_STEPS if end / s <= wanted), end)
    count = int(end / step + 1e-9)
    return Axis(0, end, tuple((n * step, _time_label(n * step)) for n in range(count + 1)))


def _time_label(second: float) -> str:
    return "0" if not second else wording.duration(second)


def magnitudes(least: float, most: float, label: Callable[[float], str], wanted: int = 6) -> Axis:
    """A logarithmic axis; ticks at 1, 2 and 5 times powers of ten, or fewer."""
    low, high = max(least, 1e-3), max(most, least * 1.01, 1e-3 * 1.01)
    inside = next((t for t in (_places(low, high, f) for f in _FACTORS) if len(t) <= wanted), _places(low, high, (1,)))
    return Axis(low, high, tuple((place, label(place)) for place in inside), is_log=True)


def _places(low: float, high: float, factors: tuple[int, ...]) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [f * 10.0**power for power in powers for f in factors if low <= f * 10.0**power <= high]
