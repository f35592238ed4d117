"""Counts and histograms of one process, kept as plain numbers: a request costs a few microseconds here.

OpenTelemetry's own instruments take about ten times as long, and a worker has half a millisecond for a request. What is
collected goes to OpenTelemetry's exporters and to Prometheus; values are always totals since the start.
To be used from the event loop's thread, `collect` from any.
"""

import logging
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from llmbatch_telemetry.names import Kind, Metric

_log = logging.getLogger(__name__)

Attributes = tuple[str, ...]
"""Values in the order of the metric's attributes; an empty one is left out."""


@dataclass(slots=True)
class Distribution:
    """What a histogram holds for one set of attributes."""

    counts: list[int]
    """By bucket; the last one has no upper bound."""
    sum: float = 0.0

    @property
    def count(self) -> int:
        """Values recorded."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Point:
    """One series at one moment."""

    metric: Metric
    attributes: Attributes
    value: float | Distribution
    start: float
    """Unix time from which on it was counted."""
    told: float = 0.0
    """How much of a counter an earlier process has told: what is sent as differences begins there."""


class Histogram:
    """All series of a histogram, by what tells them apart."""

    def __init__(self, metric: Metric) -> None:
        self._metric, self._bounds = metric, metric.bounds
        self._series: dict[Attributes, Distribution] = {}

    def record(self, key: Attributes, value: float) -> None:
        """Count a value."""
        series = self._of(key)
        series.counts[bisect_left(self._bounds, value)] += 1
        series.sum += value

    def record_all(self, key: Attributes, values: Iterable[float]) -> None:
        """Count many values. For each it takes a fraction of what `record` takes."""
        ordered, below = sorted(values), 0
        if not ordered:
            return
        series = self._of(key)
        for bucket, bound in enumerate(self._bounds):
            up_to = bisect_right(ordered, bound)
            series.counts[bucket] += up_to - below
            below = up_to
        series.counts[-1] += len(ordered) - below
        series.sum += sum(ordered)

    def _of(self, key: Attributes) -> Distribution:
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = Distribution([0] * (len(self._bounds) + 1))
        return series

    def points(self, start: float, attributes: Callable[[Attributes], Attributes] = lambda key: key) -> Iterator[Point]:
        """What there is now, in any thread. `attributes` gives those of a key that is shorter."""
        for key, series in self._series.copy().items():
            yield Point(self._metric, attributes(key), Distribution(series.counts.copy(), series.sum), start)

    def counts(self) -> Counter[Attributes]:
        """How many values each series has, in any thread."""
        return Counter({key: series.count for key, series in self._series.copy().items()})


Observe = Callable[[], Iterable[Point]]
"""Gives points for what is known elsewhere, when it is asked."""


@dataclass
class Meters:
    """All of one process."""

    is_on: bool = True
    clock: Callable[[], float] = time.time
    _sums: dict[Metric, dict[Attributes, float]] = field(default_factory=dict)
    _histograms: dict[Metric, Histogram] = field(default_factory=dict)
    _observers: list[Observe] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start = self.clock()

    def add(self, metric: Metric, amount: float = 1, *attributes: str) -> None:
        """Add to a counter."""
        if self.is_on:
            sums = self._sums.setdefault(metric, {})
            sums[attributes] = sums.get(attributes, 0) + amount

    def record(self, metric: Metric, value: float, *attributes: str) -> None:
        """Record a value of a histogram."""
        if not self.is_on:
            return
        histogram = self._histograms.get(metric)
        if histogram is None:
            histogram = self._histograms[metric] = Histogram(metric)
        histogram.record(attributes, value)

    def observe(self, observe: Observe) -> None:
        """Ask this at every collection, for gauges and for totals that are kept elsewhere."""
        self._observers.append(observe)

    def point(self, metric: Metric, value: float, *attributes: str, start: float | None = None) -> Point:
        """A point for an observer to give."""
        return Point(metric, attributes, value, self.start if start is None else start)

    def collect(self) -> list[Point]:
        """Everything, at this moment."""
        return self.counted() + self.observed()

    def counted(self) -> list[Point]:
        """What was added and recorded here."""
        # A copy is taken in one step that nothing can interrupt; going over the items of a dictionary is none.
        points = [
            Point(metric, attributes, value, self.start)
            for metric, sums in self._sums.copy().items()
            for attributes, value in sums.copy().items()
        ]
        for histogram in self._histograms.copy().values():
            points += histogram.points(self.start)
        return points

    def observed(self) -> list[Point]:
        """What observers tell. One that fails is left out, and does not cost the others."""
        points: list[Point] = []
        for observe in self._observers.copy():
            try:
                points += list(observe())
            except Exception:  # noqa: BLE001
                _log.exception("telemetry: a metric could not be observed")
        return points


def is_total(metric: Metric) -> bool:
    """Whether values only grow, so that differences make sense."""
    return metric.kind is not Kind.GAUGE
