"""Counters and histograms add up at the collector, as totals and as differences, through failures and restarts."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_telemetry import names
from llmbatch_telemetry.exporting.totals import Deltas, Reading
from llmbatch_telemetry.meters import Attributes, Distribution, Point
from otlp_receiver import Behaviour, OtlpReceiver
from telemetry.telemetry_builders import telemetry

ITEMS = "llmbatch.worker.items"


class Collector:
    """Adds up what it takes."""

    def __init__(self) -> None:
        self.sums: dict[Attributes, float] = {}
        self.counts: list[int] = []
        self._deltas = Deltas()
        self.last_at = 0.0

    def export(self, points: Sequence[Point], at: float, *, is_taken: bool = True) -> None:
        """One export."""
        self._deltas.begin_round(points)
        for reading in self._deltas.readings(points) if is_taken else ():
            self._take(reading, at)
        if is_taken:
            self._deltas.taken(points, at)

    def _take(self, reading: Reading, at: float) -> None:
        value = reading.point.value
        assert reading.is_delta
        assert reading.point.start < at
        if isinstance(value, Distribution):
            assert min(value.counts) >= 0
            before = self.counts or [0] * len(value.counts)
            self.counts = [old + new for old, new in zip(before, value.counts, strict=True)]
        else:
            assert value >= 0
            key = reading.point.attributes
            self.sums[key] = self.sums.get(key, 0) + value


def counter(value: float, *attributes: str, start: float = 1.0) -> Point:
    return Point(names.WORKER_ITEMS, attributes or ("succeeded", ""), value, start)


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans())))
def test_differences_add_up_whatever_exports_fail(steps: list[tuple[int, bool]]) -> None:
    collector, total, at = Collector(), 0, 2.0
    for more, is_taken in [*steps, (0, True)]:
        total += more
        at += 1
        collector.export([counter(total)], at, is_taken=is_taken)
    assert collector.sums.get(("succeeded", ""), 0) == total


@given(st.lists(st.integers(0, 20)))
def test_a_total_that_shrinks_gives_no_negatives_and_counts_nothing_twice(totals: list[int]) -> None:
    collector = Collector()
    for at, total in enumerate(totals, 2):
        collector.export([counter(total)], at)
    assert collector.sums.get(("succeeded", ""), 0) == max(totals, default=0)


def test_a_total_with_another_start_began_anew() -> None:
    collector = Collector()
    collector.export([counter(5, start=1)], 2)
    collector.export([counter(3, start=2)], 3)
    assert collector.sums == {("succeeded", ""): 8}


def test_a_total_that_was_away_for_a_while_is_not_counted_twice() -> None:
    collector = Collector()
    collector.export([counter(5)], 2)
    for at in range(3, 50):
        collector.export([], at)
    collector.export([counter(6)], 50)
    assert collector.sums == {("succeeded", ""): 6}


def test_what_an_earlier_process_has_told_is_not_news() -> None:
    deltas = Deltas()
    assert deltas.readings([replace(counter(5), told=5.0)]) == []
    [reading] = deltas.readings([replace(counter(7), told=5.0)])
    assert reading.point.value == 2
    deltas.taken([replace(counter(7), told=5.0)], 100.0)
    [reading] = deltas.readings([replace(counter(8), told=5.0)])
    assert reading.point.value == 1


def test_totals_that_went_are_forgotten_in_time() -> None:
    deltas = Deltas()
    for number in range(1000):
        point = counter(1, str(number))
        deltas.begin_round([point])
        deltas.taken([point], number)
    assert len(deltas._sent) <= 101


def test_a_difference_begins_where_the_last_one_ended() -> None:
    deltas = Deltas()
    deltas.taken([counter(5)], 100.0)
    [reading] = deltas.readings([counter(7)])
    assert (reading.point.start, reading.point.value) == (100.0, 2)
    assert deltas.readings([counter(5)]) == []


def test_buckets_are_differences_too() -> None:
    collector = Collector()
    for at, counts in enumerate([[1, 0], [1, 0], [1, 3], [2, 3]], 2):
        collector.export([Point(names.LOOP_LAG, (), Distribution(counts, 1.0), 1.0)], at)
    assert collector.counts == [2, 3]


@pytest.mark.parametrize("preference", ["cumulative", "delta", "lowmemory", "DELTA"])
def test_totals_are_exact_over_many_exports_of_which_some_fail(preference: str) -> None:
    more = {
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": preference,
        "OTEL_METRIC_EXPORT_INTERVAL": "20",
        "OTEL_TRACES_EXPORTER": "none",
    }
    with OtlpReceiver() as receiver:
        with telemetry(receiver.environment(**more)) as started:
            for number in range(200):
                started.meters.add(names.WORKER_ITEMS, number, "succeeded", "")
                started.meters.record(names.LOOP_LAG, number / 1000)
                if number % 20 == 0:
                    receiver.behaviour = Behaviour.ERROR if number % 40 else Behaviour.TAKE
                    before = len(receiver.requests)
                    receiver.wait_until("another export", lambda before=before: len(receiver.requests) > before)  # type: ignore[misc]
            receiver.behaviour = Behaviour.TAKE
        assert receiver.total(ITEMS) == sum(range(200))
        assert receiver.total("llmbatch.event_loop.lag") == 200
        last = receiver.last(ITEMS)
        assert last is not None
        assert last.is_delta == (preference != "cumulative")


@pytest.mark.parametrize(("preference", "is_delta"), [("delta", True), ("lowmemory", False)])
def test_low_memory_keeps_totals_that_are_kept_elsewhere(preference: str, is_delta: bool) -> None:
    more = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": preference}
    with OtlpReceiver() as receiver:
        with telemetry(receiver.environment(**more)) as started:
            meters = started.meters
            meters.observe(lambda: [meters.point(names.BATCH_ATTEMPTS, 3, "default", "triage")])
        attempts = receiver.last("llmbatch.batch.attempts")
        assert attempts is not None
        assert (attempts.value, attempts.is_delta) == (3, is_delta)
