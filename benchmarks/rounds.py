"""Rounds of measurements, A B A B …, so that what disturbs the machine disturbs all alike; median and range. Pure."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Timing = dict[str, Any]
"""What a measurement returns: items, seconds, cpu_s and more."""


def interleaved(measures: Mapping[str, Callable[[], Timing]], repeats: int) -> dict[str, list[Timing]]:
    """Each measurement once per round, by name."""
    taken: dict[str, list[Timing]] = {name: [] for name in measures}
    for _ in range(repeats):
        for name, measure in measures.items():
            taken[name].append(measure())
    return taken


@dataclass(frozen=True)
class Spread:
    """Several values of the same thing."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        """At least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def text(self, form: str = ",.0f") -> str:
        """`1,234 (1,200–1,300)`."""
        return f"{self.median:{form}} ({self.least:{form}}–{self.most:{form}})"


def per_second(timings: list[Timing], amount: str = "items", unit: float = 1) -> Spread:
    """Items (or another amount, in a unit) a second."""
    return Spread.of([t[amount] / unit / t["seconds"] for t in timings])


def cpu_us(timings: list[Timing]) -> Spread:
    """Microseconds of CPU per item."""
    return Spread.of([1e6 * t["cpu_s"] / t["items"] for t in timings])


def ratio(some: list[Timing], others: list[Timing]) -> Spread:
    """How many times the items a second of `others`, round by round."""
    pairs = zip(some, others, strict=True)
    return Spread.of([(a["items"] / a["seconds"]) / (b["items"] / b["seconds"]) for a, b in pairs])


def cpu_ratio(some: list[Timing], others: list[Timing]) -> Spread:
    """The items per CPU second against those of `others`, round by round: steadier than wall time."""
    pairs = zip(some, others, strict=True)
    return Spread.of([(a["items"] / a["cpu_s"]) / (b["items"] / b["cpu_s"]) for a, b in pairs])
