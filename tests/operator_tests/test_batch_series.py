"""The numbers of batches as metrics: those of the status, for as long as somebody may want to collect them."""

from datetime import timedelta
from typing import Any

import pytest

from llmbatch_contract.categories import Category
from llmbatch_contract.pods import ErrorCount
from llmbatch_contract.progress import Totals
from llmbatch_contract.status import (
    Cost,
    ErrorTally,
    ItemCounts,
    LLMBatchStatus,
    Phase,
    TokenCounts,
)
from llmbatch_contract.trace import trace_of
from llmbatch_operator.telemetry.about import About
from llmbatch_operator.telemetry.failures import failures
from llmbatch_operator.telemetry.series import Live, Series
from llmbatch_telemetry import names
from llmbatch_telemetry.meters import is_total
from llmbatch_telemetry.names import Metric
from operator_tests.operator_builders import NOW, PLANNED_CONDITION, REF, final
from operator_tests.operator_builders import status as status_

_ABOUT = About(REF, trace_of(REF.uid), NOW.timestamp() - 1)
_BATCH = ("team-a", "triage")
_COUNTS = ItemCounts(total=40, pending=5, running=4, succeeded=28, failed=3)
_RUNNING = status_(
    Phase.RUNNING,
    PLANNED_CONDITION,
    items=_COUNTS,
    attempts=33,
    resent_items=1,
    usage=TokenCounts(input_tokens=500, output_tokens=90, cached_tokens=80, reasoning_tokens=7, total_tokens=590),
    cost=Cost(amount=0.123457, currency="EUR", display="0.1235 EUR"),
    estimated_completion_time=NOW + timedelta(seconds=90),
)
_FAILURES = {"timeout": 2, "refusal": 1}


class _Batches:
    """Series, and a clock."""

    def __init__(self) -> None:
        self.now = NOW.timestamp() + 30
        self.live: dict[str, Live] = {REF.uid: Live(4, {"rate_limited": 2}, 3)}
        self.series = Series(self.live.get, lambda: self.now)

    def write(self, status: LLMBatchStatus = _RUNNING, failed: dict[str, int] | None = None) -> None:
        """A status is written."""
        self.series.write(_ABOUT, status, _FAILURES if failed is None else failed)

    def values(self) -> dict[tuple[Metric, tuple[str, ...]], Any]:
        """What is collected."""
        return {(point.metric, point.attributes): point.value for point in self.series.points()}


def _ended(at_s: float = 60, phase: Phase = Phase.SUCCEEDED) -> LLMBatchStatus:
    return _RUNNING.model_copy(update={"phase": phase, "completion_time": NOW + timedelta(seconds=at_s)})


def test_counts_that_were_there_before_this_operator_were_told_by_the_one_before() -> None:
    batches = _Batches()
    batches.series.write(_ABOUT, _RUNNING, _FAILURES, is_found=True)
    batches.write(_RUNNING.model_copy(update={"attempts": 50}), _FAILURES | {"overloaded": 4})
    told = {point.attributes[2:]: point.told for point in batches.series.points() if point.metric is names.BATCH_ITEMS}
    assert told == {
        ("succeeded", ""): 28,
        ("failed", "timeout"): 2,
        ("failed", "refusal"): 1,
        ("failed", "overloaded"): 0,
    }
    [attempts] = [point for point in batches.series.points() if point.metric is names.BATCH_ATTEMPTS]
    assert (attempts.value, attempts.told) == (50, 33)
    gauges = [point.told for point in batches.series.points() if not is_total(point.metric)]
    assert not any(gauges)


def test_counts_of_a_batch_that_this_operator_has_begun_are_news() -> None:
    batches = _Batches()
    batches.write()
    assert not any(point.told for point in batches.series.points())


def test_a_batch_that_runs_has_the_numbers_of_its_status_and_what_its_workers_say() -> None:
    batches = _Batches()
    batches.write()
    batches.now += 15
    assert batches.values() == {
        (names.BATCH_ITEMS, (*_BATCH, "succeeded", "")): 28,
        (names.BATCH_ITEMS, (*_BATCH, "failed", "timeout")): 2,
        (names.BATCH_ITEMS, (*_BATCH, "failed", "refusal")): 1,
        (names.BATCH_ATTEMPTS, _BATCH): 33,
        (names.BATCH_RESENT, _BATCH): 1,
        (names.BATCH_TOKENS, (*_BATCH, "input")): 500,
        (names.BATCH_TOKENS, (*_BATCH, "output")): 90,
        (names.BATCH_TOKENS, (*_BATCH, "cached")): 80,
        (names.BATCH_TOKENS, (*_BATCH, "reasoning")): 7,
        (names.BATCH_COST, (*_BATCH, "EUR")): 0.123457,
        (names.BATCH_WAITING, (*_BATCH, "rate_limited")): 2,
        (names.BATCH_SIZE, _BATCH): 40,
        (names.BATCH_IN_FLIGHT, _BATCH): 4,
        (names.BATCH_WORKERS, _BATCH): 3,
        (names.BATCH_TIME_LEFT, _BATCH): 45,
        (names.BATCH_AGE, _BATCH): 45,
        (names.BATCH_IDLE, _BATCH): 15,
    }


def test_counters_begin_with_the_batch_whichever_operator_tells_of_them() -> None:
    batches = _Batches()
    batches.write()
    assert {point.start for point in batches.series.points()} == {NOW.timestamp()}


def test_a_batch_is_idle_since_an_item_has_ended_last() -> None:
    batches = _Batches()
    batches.write()
    batches.now += 100
    batches.write(_RUNNING.model_copy(update={"attempts": 40}))
    assert batches.values()[names.BATCH_IDLE, _BATCH] == 100
    batches.write(_RUNNING.model_copy(update={"items": _COUNTS.model_copy(update={"succeeded": 29, "pending": 4})}))
    assert batches.values()[names.BATCH_IDLE, _BATCH] == 0


def test_one_that_is_suspended_is_not_idle() -> None:
    batches = _Batches()
    batches.write(_RUNNING.model_copy(update={"phase": Phase.SUSPENDED}))
    assert (names.BATCH_IDLE, _BATCH) not in batches.values()


def test_one_that_has_ended_keeps_its_totals_for_a_quarter_of_an_hour() -> None:
    batches = _Batches()
    batches.write()
    totals = {key: value for key, value in batches.values().items() if key[0].kind is names.Kind.COUNTER}
    batches.write(_ended())
    for seconds, is_told in ((61, True), (900, True), (961, False)):
        batches.now = NOW.timestamp() + seconds
        assert bool(batches.values()) == is_told
        assert not is_told or batches.values() == {**totals, (names.BATCH_SIZE, _BATCH): 40}


def test_one_that_was_deleted_keeps_its_totals_until_they_are_collected() -> None:
    batches = _Batches()
    batches.write()
    batches.series.gone(REF.uid)
    for seconds, is_told in ((0, True), (119, True), (122, False)):
        batches.now = NOW.timestamp() + 30 + seconds
        assert bool(batches.values()) == is_told
    batches.series.gone("another")
    assert batches.series.get(REF.uid) is None


def test_one_without_a_plan_has_no_size() -> None:
    batches = _Batches()
    batches.live.clear()
    batches.write(status_(Phase.PLANNING), {})
    values = batches.values()
    assert (names.BATCH_SIZE, _BATCH) not in values
    assert values[names.BATCH_ITEMS, (*_BATCH, "succeeded", "")] == 0


def _tallies(**counts: int) -> list[ErrorTally]:
    return [ErrorTally(category=Category(name), count=count) for name, count in counts.items()]


def _errors(**counts: int) -> dict[Category, int]:
    return {Category(name): count for name, count in counts.items()}


def _counted(**counts: int) -> list[ErrorCount]:
    return [ErrorCount(category=Category(name), count=count) for name, count in counts.items()]


_SEVEN = {"auth": 9, "timeout": 8, "refusal": 7, "truncated": 6, "unknown": 5, "connection": 4, "invalid_output": 3}
_FIVE = dict(list(_SEVEN.items())[:5])


@pytest.mark.parametrize(
    ("failed", "listed", "told", "counted", "expected"),
    [
        pytest.param(0, {}, {}, None, {}, id="nothing failed"),
        pytest.param(42, _FIVE, _SEVEN, None, _SEVEN, id="workers know of more categories than the status lists"),
        pytest.param(42, _FIVE, {}, None, _FIVE, id="after a restart, those of the status"),
        pytest.param(42, _FIVE, {"auth": 5}, None, _FIVE, id="after a restart, workers have only begun to tell"),
        pytest.param(3, {"auth": 3}, {"timeout": 3}, None, {"auth": 3}, id="workers tell of others than the status"),
        pytest.param(42, _FIVE, {"auth": 43}, None, _FIVE, id="workers are ahead of the status"),
        pytest.param(42, _FIVE, {}, _SEVEN, _SEVEN, id="at the end, all that were counted"),
        pytest.param(9, {"auth": 9}, {}, {"cancelled": 20, "auth": 9}, {"auth": 9}, id="cancelled are not failed"),
    ],
)
def test_failed_items_are_told_by_category(
    failed: int, listed: dict[str, int], told: dict[str, int], counted: dict[str, int] | None, expected: dict[str, int]
) -> None:
    counts = ItemCounts(total=100, failed=failed)
    status = status_(Phase.RUNNING, items=counts, errors=_tallies(**listed))
    last = None if counted is None else final(failed=failed, errors=_counted(**counted))
    assert failures(status, Totals(failed=failed, errors=_errors(**told)), last) == expected
