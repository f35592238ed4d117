"""The numbers of a status: they add up, never go backwards, and say no more than is known."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbatch_contract.categories import Category
from llmbatch_contract.latency import Latencies
from llmbatch_contract.pods import ErrorCount, Stage
from llmbatch_contract.progress import Sample, Totals
from llmbatch_contract.reports import PlanFacts
from llmbatch_contract.status import ErrorTally, ItemCounts, LLMBatchStatus, Phase, Reason, ShardCounts, TokenCounts
from llmbatch_contract.usage import Usage
from llmbatch_operator.observed import Decision, Talk
from llmbatch_operator.shown import duration
from llmbatch_operator.status_of import Pace, has_caught_up, status_of
from operator_tests.operator_builders import (
    NOW,
    PLANNED,
    PLANNED_CONDITION,
    RUN,
    SHARD,
    batch,
    final,
    job,
    pod,
    spec,
    status,
    stopping,
)

_KNOWN = Talk(plan=PLANNED)
_GOING = Decision(Phase.RUNNING)
_PRICED = spec(pricing={"inputPerMillion": 1.0, "outputPerMillion": 4.0, "currency": "EUR"})


def _running(totals: Totals, old: LLMBatchStatus | None = None, talk: Talk = _KNOWN, **pace: Any) -> LLMBatchStatus:
    """The status of a batch that asks."""
    return status_of(batch(talk=talk, status=old), _GOING, Pace(totals, **pace), NOW)


def _before(succeeded: int, failed: int, **fields: Any) -> LLMBatchStatus:
    """A status in which so many items were done."""
    items = ItemCounts(total=40, succeeded=succeeded, failed=failed, pending=40 - succeeded - failed)
    return status(Phase.RUNNING, PLANNED_CONDITION, items=items, **fields)


def test_a_batch_that_is_not_planned_has_no_counts() -> None:
    made = status_of(batch(), Decision(Phase.PLANNING), Pace(Totals()), NOW)
    assert (made.items, made.shards, made.progress, made.usage) == (None, None, None, None)
    assert made.start_time == NOW


def test_a_planned_batch_has_all_items_pending() -> None:
    made = _running(Totals())
    assert made.items == ItemCounts(total=40, pending=40)
    assert made.shards == ShardCounts(total=4)


def test_items_in_flight_are_running_but_no_more_than_are_left() -> None:
    assert _running(Totals(succeeded=30, failed=5), in_flight=3).items == ItemCounts(
        total=40, pending=2, running=3, succeeded=30, failed=5
    )
    assert _running(Totals(succeeded=30, failed=5), in_flight=99).items == ItemCounts(
        total=40, running=5, succeeded=30, failed=5
    )


def test_nothing_is_running_but_in_the_phase_running() -> None:
    seen = batch(talk=_KNOWN, status=_before(0, 0))
    made = status_of(seen, Decision(Phase.SUSPENDED), Pace(Totals(succeeded=1), in_flight=3, items_per_second=1.0), NOW)
    assert made.items == ItemCounts(total=40, pending=39, succeeded=1)
    assert (made.items_per_minute, made.time_left, made.estimated_completion_time) == (None, None, None)


@pytest.mark.parametrize(
    ("known", "old"),
    [
        pytest.param(Totals(succeeded=5), _before(10, 0), id="fewer items"),
        pytest.param(Totals(succeeded=5, failed=20), _before(10, 0), id="more items, but fewer that succeeded"),
        pytest.param(Totals(succeeded=20, failed=1), _before(10, 2), id="more items, but fewer that failed"),
        pytest.param(
            Totals(succeeded=20, usage=Usage(10, 10)),
            _before(10, 0, usage=TokenCounts(input_tokens=99)),
            id="more items, but fewer tokens",
        ),
        pytest.param(
            Totals(succeeded=20, usage=Usage(10, 10, cached=1)),
            _before(10, 0, usage=TokenCounts(cached_tokens=5)),
            id="more items, but fewer cached tokens, which cost less",
        ),
    ],
)
def test_after_a_restart_what_was_written_stands_until_workers_have_told_as_much(
    known: Totals, old: LLMBatchStatus
) -> None:
    made = _running(known, old, in_flight=2)
    assert old.items is not None
    assert made.items is not None
    assert (made.items.succeeded, made.items.failed) == (old.items.succeeded, old.items.failed)
    assert (made.items.running, made.usage) == (2, old.usage)
    assert not has_caught_up(known, old)


def test_the_status_remembers_the_plan() -> None:
    assert _running(Totals(succeeded=12), _before(10, 0), Talk()).items == ItemCounts(
        total=40, pending=28, succeeded=12
    )


_COUNTS = st.integers(0, 60)


@settings(max_examples=200, deadline=None)
@given(
    total=st.integers(0, 100),
    steps=st.lists(st.tuples(_COUNTS, _COUNTS, _COUNTS, st.sampled_from([Phase.RUNNING, Phase.SUSPENDED]))),
)
def test_whatever_is_reported_counts_add_up_and_never_go_backwards(
    total: int, steps: list[tuple[int, int, int, Phase]]
) -> None:
    talk, old = Talk(plan=PlanFacts(items=total, shards=1)), None
    for succeeded, failed, in_flight, phase in steps:
        done = min(succeeded, total)
        totals = Totals(succeeded=done, failed=min(failed, total - done), usage=Usage(succeeded, failed))
        seen = batch(talk=talk, status=old)
        new = status_of(seen, Decision(phase), Pace(totals, in_flight), NOW)
        items = new.items
        assert items is not None
        assert items.pending + items.running + items.succeeded + items.failed + items.cancelled == items.total == total
        if old is not None and old.items is not None:
            assert items.succeeded >= old.items.succeeded
            assert items.failed >= old.items.failed
        old = new


# Shards


def test_shards_are_counted_by_what_is_done_and_who_works() -> None:
    pods = [
        pod(SHARD, name=name, phase=phase) for name, phase in {"a": "Running", "b": "Pending", "c": "Failed"}.items()
    ]
    seen = batch(jobs=[job(SHARD, failed_indexes=1)], pods=pods, talk=_KNOWN)
    made = status_of(seen, _GOING, Pace(Totals(), shards_done=2), NOW)
    assert made.shards == ShardCounts(total=4, active=1, succeeded=2, failed=1)


def test_shards_that_are_done_stay_done_after_a_restart() -> None:
    old = _before(0, 0, shards=ShardCounts(total=4, succeeded=3, failed=1))
    made = status_of(batch(talk=_KNOWN, status=old), _GOING, Pace(Totals(), shards_done=1), NOW)
    assert made.shards == ShardCounts(total=4, succeeded=3, failed=1)


def test_one_pod_that_does_everything_counts_as_active() -> None:
    made = status_of(batch(pods=[pod(RUN)], talk=Talk(plan=PlanFacts(items=2, shards=1))), _GOING, Pace(Totals()), NOW)
    assert made.shards == ShardCounts(total=1, active=1)


# Rates, tokens, errors


@pytest.mark.parametrize(
    ("per_second", "rate", "left", "seconds"),
    [
        pytest.param(0.05, 3.0, "10m0s", 600, id="slow"),
        pytest.param(0.1234, 7.4, "4m4s", 244, id="rates below 100 with one digit"),
        pytest.param(3.0, 180, "10s", 10, id="rates above 100 without"),
    ],
)
def test_the_rate_forecasts_the_end(per_second: float, rate: float, left: str, seconds: int) -> None:
    made = _running(Totals(succeeded=10), items_per_second=per_second)
    assert (made.items_per_minute, made.time_left) == (rate, left)
    assert made.estimated_completion_time == NOW + timedelta(seconds=seconds)


def test_there_is_no_forecast_without_a_rate() -> None:
    old = _before(10, 0, time_left="5m", items_per_minute=3.0, estimated_completion_time=NOW)
    made = _running(Totals(succeeded=10), old)
    assert (made.items_per_minute, made.time_left, made.estimated_completion_time) == (None, None, None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.2, "1s"),
        (59.1, "1m0s"),
        (200, "3m20s"),
        (3600, "1h0m"),
        (7500, "2h5m"),
        (86399, "23h59m"),
        (86400, "1d0h"),
        (371000, "4d7h"),
    ],
)
def test_durations_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("done", "percent"), [(0, "0%"), (1, "2%"), (39, "97%"), (40, "100%")])
def test_progress_is_100_percent_only_when_all_is_done(done: int, percent: str) -> None:
    assert _running(Totals(succeeded=done)).progress == percent


def test_tokens_have_a_price_where_the_endpoint_has_prices() -> None:
    totals = Totals(succeeded=1, usage=Usage(1_000_000, 500_000))
    made = status_of(batch(_PRICED, talk=_KNOWN), _GOING, Pace(totals), NOW)
    assert made.usage is not None
    assert (made.usage.input_tokens, made.usage.output_tokens, made.usage.total_tokens) == (10**6, 5 * 10**5, 1_500_000)
    assert made.cost is not None
    assert (made.cost.amount, made.cost.display) == (3.0, "3.00 EUR")


def test_small_sums_have_more_digits() -> None:
    made = status_of(batch(_PRICED, talk=_KNOWN), _GOING, Pace(Totals(succeeded=1, usage=Usage(1, 100))), NOW)
    assert made.cost is not None
    assert made.cost.display == "0.0004 EUR"


def test_the_commonest_errors_come_first_with_a_sample() -> None:
    errors = {category: n for n, category in enumerate(Category)}
    most = max(errors, key=lambda c: errors[c])
    totals = Totals(failed=10, errors=errors, samples={most: Sample(item_id="7", message="HTTP 500")})
    tallies = _running(totals).errors
    assert [t.count for t in tallies] == sorted(errors.values(), reverse=True)[:5]
    assert (tallies[0].category, tallies[0].sample_item, tallies[0].sample_message) == (most, "7", "HTTP 500")
    assert tallies[1].sample_item is None


@pytest.mark.parametrize(
    ("heard", "shown"),
    [
        pytest.param({Category.AUTH: 1, Category.TIMEOUT: 4}, {Category.AUTH: 3}, id="less of one category"),
        pytest.param({Category.TIMEOUT: 5}, {Category.AUTH: 3}, id="nothing of one category"),
        pytest.param({Category.AUTH: 3, Category.TIMEOUT: 2}, {Category.AUTH: 3, Category.TIMEOUT: 2}, id="all"),
    ],
)
def test_after_a_restart_errors_stand_until_workers_have_told_as_many(
    heard: dict[Category, int], shown: dict[Category, int]
) -> None:
    """Pods of finished shards may be gone for ever, and others have failed for other reasons meanwhile."""
    before = _before(0, 3, errors=[ErrorTally(category=Category.AUTH, count=3)])
    made = _running(Totals(failed=5, errors=heard), before)
    assert {tally.category: tally.count for tally in made.errors} == shown


def test_latencies_become_percentiles() -> None:
    latencies: Latencies = {}
    assert _running(Totals(succeeded=1, latency=latencies)).latency is None


# The end


def _end(phase: Phase, old: LLMBatchStatus, **counts: Any) -> LLMBatchStatus:
    later = NOW + timedelta(seconds=90)
    seen = batch(_PRICED, talk=Talk(plan=PLANNED, final=final(**counts)), status=old)
    return status_of(seen, Decision(phase), Pace(Totals(succeeded=3), in_flight=2), later)


def test_at_the_end_the_final_counts_hold() -> None:
    made = _end(Phase.COMPLETED_WITH_ERRORS, _before(3, 0), succeeded=38, failed=2, usage=Usage(10, 10), retries=4)
    assert made.items == ItemCounts(total=40, succeeded=38, failed=2)
    assert made.shards == ShardCounts(total=4, succeeded=4)
    assert (made.progress, made.retries, made.items_per_minute) == ("100%", 4, 26.7)
    assert made.completion_time == NOW + timedelta(seconds=90)
    assert made.output is not None
    assert made.output.results == "llmbatch://team-a/triage/results.jsonl"


def test_what_was_not_answered_is_cancelled() -> None:
    old = _before(3, 0, shards=ShardCounts(total=4, succeeded=1, active=2))
    old = old.model_copy(update={"conditions": [*old.conditions, stopping(Reason.CANCELLED, "spec.cancel is set")]})
    made = _end(Phase.CANCELLED, old, succeeded=10, failed=2, cancelled=28)
    assert made.items == ItemCounts(total=40, succeeded=10, failed=2, cancelled=28)
    assert made.shards == ShardCounts(total=4, succeeded=1)
    assert made.progress == "30%"


def test_without_outputs_the_last_counts_stay() -> None:
    old = _before(10, 2)
    made = status_of(batch(status=old), Decision(Phase.FAILED), Pace(Totals()), NOW)
    assert (made.items, made.output, made.phase) == (old.items, None, Phase.FAILED)


def test_an_empty_batch_is_done_to_100_percent() -> None:
    made = _end(Phase.SUCCEEDED, status(Phase.FINALIZING), succeeded=0)
    assert (made.items, made.progress, made.items_per_minute) == (ItemCounts(), "100%", None)


def test_errors_at_the_end_are_those_that_finalize_has_counted() -> None:
    errors = [ErrorCount(category=Category.TIMEOUT, count=2, sample=Sample(item_id="7", message="no answer"))]
    made = _end(Phase.COMPLETED_WITH_ERRORS, _before(3, 0), succeeded=38, failed=2, errors=errors)
    assert [(t.category, t.count, t.sample_item) for t in made.errors] == [(Category.TIMEOUT, 2, "7")]


def test_a_status_that_is_final_never_changes() -> None:
    over = status(Phase.CANCELLED, PLANNED_CONDITION)
    seen = batch(jobs=[job(Stage.SHARD)], talk=_KNOWN, status=over)
    assert status_of(seen, Decision(Phase.RUNNING), Pace(Totals(succeeded=9)), NOW) is over
