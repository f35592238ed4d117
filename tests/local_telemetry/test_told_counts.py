"""A run that goes on neither repeats nor takes back what the one before has told."""

from pathlib import Path

import pytest

from llmbatch_cli.running.told import NAME, Told
from llmbatch_telemetry import names
from llmbatch_telemetry.batches import BatchNumbers, points_of
from llmbatch_telemetry.meters import Distribution, Point
from llmbatch_worker.stores.local import LOCAL
from llmbatch_worker.stores.protocol import Store

_START, _NOW = 1000.0, 2000.0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return LOCAL.open(tmp_path.as_uri())


def _attempts(told: Told, count: int) -> tuple[float, float]:
    """How many attempts are told of so many, and since when they are counted."""
    points = told.points(points_of(BatchNumbers("default", "triage", _START, attempts=count)))
    [point] = [point for point in points if point.metric is names.BATCH_ATTEMPTS]
    assert not isinstance(point.value, Distribution)
    return point.value, point.start


def test_totals_do_not_shrink_while_shards_are_read_again(store: Store) -> None:
    before = Told(store, "uid", None)
    assert [_attempts(before, count) for count in (10, 25)] == [(10, _START), (25, _START)]
    after = Told(store, "uid", None)
    assert [_attempts(after, count) for count in (0, 20, 40)] == [(25, _START), (25, _START), (40, _START)]


def test_news_are_what_came_since(store: Store) -> None:
    _attempts(Told(store, "uid", _START), 25)
    after = Told(store, "uid", _NOW)
    assert [_attempts(after, count) for count in (0, 20, 40)] == [(0, _NOW), (0, _NOW), (15, _NOW)]
    assert _attempts(Told(store, "uid", _NOW), 41) == (1, _NOW)


def test_what_another_run_told_is_of_no_concern(store: Store) -> None:
    _attempts(Told(store, "uid", None), 25)
    assert _attempts(Told(store, "another", None), 3) == (3, _START)


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"uid":"uid","counts":[{"metric":1}]}'])
def test_an_object_that_cannot_be_read_counts_as_missing(store: Store, data: bytes) -> None:
    store.put(NAME, data)
    assert _attempts(Told(store, "uid", None), 3) == (3, _START)


def test_gauges_are_told_as_they_are(store: Store) -> None:
    points = [Point(names.BATCH_IN_FLIGHT, ("default", "triage"), value, _NOW) for value in (5, 2)]
    told = Told(store, "uid", _NOW)
    assert [told.points([point]) for point in points] == [[point] for point in points]
    assert Told(store, "uid", _NOW).points(points[1:]) == points[1:]


def test_a_store_that_is_gone_is_no_reason_to_fail(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    told = Told(LOCAL.open(folder.as_uri()), "uid", None)
    (folder / NAME).mkdir(parents=True)
    assert _attempts(told, 3) == (3, _START)
