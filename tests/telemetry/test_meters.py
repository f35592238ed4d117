"""Counts are exact, cost little, and can be read by another thread at any moment."""

import asyncio
import contextlib
import logging
import sys
import threading
import timeit
from collections.abc import Iterator

import pytest

from llmbatch_telemetry import names
from llmbatch_telemetry.lag import watch_loop
from llmbatch_telemetry.meters import Distribution, Histogram, Meters, Point


def values(meters: Meters, metric: names.Metric) -> dict[tuple[str, ...], float | Distribution]:
    return {point.attributes: point.value for point in meters.collect() if point.metric is metric}


def test_counters_add_up_by_attributes() -> None:
    meters = Meters(clock=lambda: 5.0)
    meters.add(names.WORKER_ITEMS, 2, "succeeded", "")
    meters.add(names.WORKER_ITEMS, 3, "succeeded", "")
    meters.add(names.WORKER_ITEMS, 1, "failed", "timeout")
    assert values(meters, names.WORKER_ITEMS) == {("succeeded", ""): 5, ("failed", "timeout"): 1}
    assert {point.start for point in meters.collect()} == {5.0}


def test_a_value_on_a_bound_is_below_it() -> None:
    meters = Meters()
    for value in (0.001, 0.0011, 10, 10.1):
        meters.record(names.LOOP_LAG, value)
    [found] = values(meters, names.LOOP_LAG).values()
    assert isinstance(found, Distribution)
    assert (found.counts[0], found.counts[1], found.counts[-2], found.counts[-1]) == (1, 1, 1, 1)
    assert found.count == 4
    assert found.sum == pytest.approx(20.1021)


def test_many_values_count_as_each_by_itself() -> None:
    given = [bound + more for bound in names.LOOP_LAG.bounds for more in (-0.0005, 0.0, 0.0005)] + [-1.0, 0.0, 11.0]
    together, apart = Histogram(names.LOOP_LAG), Histogram(names.LOOP_LAG)
    together.record_all(("a",), reversed(given))
    together.record_all(("a",), given[:5])
    together.record_all(("b",), [])
    for value in given + given[:5]:
        apart.record(("a",), value)
    [found], [wanted] = together.points(0.0), apart.points(0.0)
    assert isinstance(found.value, Distribution)
    assert isinstance(wanted.value, Distribution)
    assert (found.attributes, found.value.counts) == (wanted.attributes, wanted.value.counts)
    assert found.value.sum == pytest.approx(wanted.value.sum)


def test_what_was_collected_does_not_change() -> None:
    meters = Meters()
    meters.record(names.LOOP_LAG, 1)
    before = values(meters, names.LOOP_LAG)
    meters.record(names.LOOP_LAG, 1)
    assert before == {(): Distribution([0] * 9 + [1] + [0] * 4, 1.0)}


def test_meters_that_are_off_keep_nothing() -> None:
    meters = Meters(is_on=False)
    meters.add(names.WORKER_ITEMS, 2, "succeeded", "")
    meters.record(names.LOOP_LAG, 1)
    assert meters.collect() == []


def test_an_observer_that_fails_costs_only_its_own_points(caplog: pytest.LogCaptureFixture) -> None:
    meters = Meters()

    def broken() -> Iterator[Point]:
        yield meters.point(names.WORKER_CONCURRENCY, 1)
        raise RuntimeError("no")

    meters.observe(broken)
    meters.observe(lambda: [meters.point(names.WORKER_IN_FLIGHT, 2)])
    meters.add(names.WORKER_ITEMS, 1, "succeeded", "")
    with caplog.at_level(logging.ERROR):
        assert {point.metric for point in meters.collect()} >= {names.WORKER_ITEMS, names.WORKER_IN_FLIGHT}


def test_another_thread_can_collect_while_the_loop_adds() -> None:
    meters = Meters()
    errors: list[Exception] = []
    is_over = threading.Event()

    def collect() -> None:
        try:
            while not is_over.is_set():
                meters.collect()
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread = threading.Thread(target=collect)
    thread.start()
    try:
        for number in range(20_000):
            meters.add(names.WORKER_ATTEMPTS, 1, "succeeded", str(number % 2000))
            meters.record(names.STORE_DURATION, 0.1, str(number % 2000), "")
    finally:
        is_over.set()
        thread.join(20)
        sys.setswitchinterval(before)
    assert errors == []
    assert sum(1 for _ in values(meters, names.WORKER_ATTEMPTS)) == 2000


def test_a_request_costs_microseconds() -> None:
    meters = Meters()

    def once() -> None:
        meters.add(names.WORKER_ITEMS, 1, "succeeded", "")
        meters.record(names.REQUEST_DURATION, 0.3, "POST", "api.openai.com", "443", "200", "")

    # On a quiet machine both together take 0.7 µs.
    assert min(timeit.repeat(once, number=2000, repeat=10)) / 2000 < 20e-6


async def test_the_lag_of_the_loop_is_measured() -> None:
    meters = Meters()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await watch_loop(meters, interval_s=0.01)
    [found] = values(meters, names.LOOP_LAG).values()
    assert isinstance(found, Distribution)
    assert found.sum >= 0


async def test_nothing_is_measured_where_nothing_is_counted() -> None:
    await asyncio.wait_for(watch_loop(Meters(is_on=False)), 1)
