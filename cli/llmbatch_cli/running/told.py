"""What earlier processes of a batch have told of it: a run that goes on neither repeats nor takes back a count.

Kept in the working store, beside the plan, as often as metrics are sent.
"""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pydantic

from llmbatch_contract.errors import StoreError
from llmbatch_contract.model import Model
from llmbatch_telemetry.meters import Attributes, Point, is_total
from llmbatch_worker.stores.protocol import Store

NAME = "telemetry.json"


class _Count(Model):
    metric: str
    attributes: tuple[str, ...]
    value: int | float


class _Told(Model):
    """The object in the store."""

    uid: str
    counts: list[_Count]


class Told:
    """The counts of one batch."""

    def __init__(self, store: Store, uid: str, as_news_since: float | None) -> None:
        """`as_news_since`: tell only what comes from this Unix time on, as sums of differences need it."""
        self._store, self._uid, self._since = store, uid, as_news_since
        self._before = self._read()
        self._last = ""

    def points(self, points: Iterable[Point]) -> list[Point]:
        """The points as they are to be told. To be called by one thread, the one that sends them."""
        whole = [self._not_less(point) for point in points]
        self._write(whole)
        if self._since is None:
            return whole
        return [self._news(point, self._since) for point in whole]

    def _not_less(self, point: Point) -> Point:
        """What is known of shards comes in bit by bit."""
        if not is_total(point.metric) or not isinstance(point.value, int | float):
            return point
        return replace(point, value=max(point.value, self._before_of(point)))

    def _news(self, point: Point, since: float) -> Point:
        if not is_total(point.metric) or not isinstance(point.value, int | float):
            return point
        return replace(point, value=point.value - self._before_of(point), start=since)

    def _before_of(self, point: Point) -> float:
        return self._before.get((point.metric.name, point.attributes), 0)

    def _read(self) -> dict[tuple[str, Attributes], float]:
        with contextlib.suppress(StoreError, pydantic.ValidationError):
            told = _Told.load(self._store.read(NAME))
            if told.uid == self._uid:
                return {(each.metric, each.attributes): each.value for each in told.counts}
        return {}

    def _write(self, points: Iterable[Point]) -> None:
        told = _Told(uid=self._uid, counts=list(_counts(points)))
        with contextlib.suppress(StoreError):
            self._store.put(NAME, told.dump_json())


def _counts(points: Iterable[Point]) -> Iterator[_Count]:
    for point in points:
        if is_total(point.metric) and isinstance(point.value, int | float):
            yield _Count(metric=point.metric.name, attributes=point.attributes, value=point.value)
