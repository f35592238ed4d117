"""Totals as a collector wants them: since the start, or since the last export that it took. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from llmbatch_telemetry.meters import Attributes, Distribution, Point, is_total
from llmbatch_telemetry.names import Metric

_Series = tuple[Metric, Attributes, float]
"""Another start is another series: a counter that began anew."""

_FORGET_AFTER = 100
"""Exports without a series after which its last total is forgotten."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A point as it is sent."""

    point: Point
    is_delta: bool = False


@dataclass(slots=True)
class _Sent:
    value: float | Distribution
    at: float
    round: int


class Deltas:
    """What came since the last export that was taken; an export that failed loses nothing."""

    def __init__(self) -> None:
        self._sent: dict[_Series, _Sent] = {}
        self._round = 0

    def readings(self, points: Iterable[Point]) -> list[Reading]:
        """Totals as differences, gauges as they are. A series without news is left out."""
        read = (self._reading(point) for point in points)
        return [reading for reading in read if reading is not None]

    def taken(self, points: Iterable[Point], at: float) -> None:
        """The totals of these points, read at this moment, are with the collector now."""
        for point in filter(lambda point: is_total(point.metric), points):
            before = self._sent.get(_series(point))
            value = point.value if before is None else _larger(point.value, before.value)
            self._sent[_series(point)] = _Sent(value, at, self._round)

    def begin_round(self, points: Sequence[Point]) -> None:
        """Note which series there still are, and forget those that went long ago."""
        self._round += 1
        for series in map(_series, points):
            if series in self._sent:
                self._sent[series].round = self._round
        old = [series for series, sent in self._sent.items() if self._round - sent.round > _FORGET_AFTER]
        for series in old:
            del self._sent[series]

    def _reading(self, point: Point) -> Reading | None:
        if not is_total(point.metric):
            return Reading(point)
        before = self._sent.get(_series(point))
        if before is None:
            return _first(point)
        news = _difference(point.value, before.value)
        return None if news is None else Reading(replace(point, value=news, start=before.at), is_delta=True)


def _series(point: Point) -> _Series:
    return point.metric, point.attributes, point.start


def _first(point: Point) -> Reading | None:
    """All of it, but for what an earlier process has sent."""
    if not point.told or isinstance(point.value, Distribution):
        return Reading(point, is_delta=True)
    news = _difference(point.value, point.told)
    return None if news is None else Reading(replace(point, value=news), is_delta=True)


def _difference(now: float | Distribution, before: float | Distribution) -> float | Distribution | None:
    """What came; None for nothing, and for a total that shrank, which no total should."""
    if isinstance(now, Distribution) and isinstance(before, Distribution):
        counts = [new - old for new, old in zip(now.counts, before.counts, strict=True)]
        return Distribution(counts, now.sum - before.sum) if any(counts) and min(counts) >= 0 else None
    if isinstance(now, Distribution) or isinstance(before, Distribution):
        return None
    return now - before if now > before else None


def _larger(now: float | Distribution, before: float | Distribution) -> float | Distribution:
    """What the collector has in sum, after a total that may have shrunk."""
    return before if _difference(now, before) is None else now
