"""The coordinator's replies: limits shared, waits passed on, and when a batch stops."""

import random
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbatch_contract.categories import Category
from llmbatch_contract.coordination import Coordinator, failures_exceed_policy
from llmbatch_contract.progress import BatchProgress, Sample, ShardProgress, Totals
from llmbatch_contract.reports import Command, Demand, Grant, Reply, Report, StopReason
from llmbatch_contract.sharing import EndpointShares
from llmbatch_contract.spec import FailurePolicy, Limits

_STOP = StopReason(category=Category.AUTH, message="the key is wrong")


def coordinator(*, policy: FailurePolicy | None = None, **limits: Any) -> Coordinator:
    shares = EndpointShares(Limits(**limits), 0)
    return Coordinator(policy or FailurePolicy(), BatchProgress(items=1000, shards=10), shares)


def settled(boss: Coordinator, workers: int, rounds: int = 6) -> list[Grant]:
    """The grants of so many workers, all of which want all they can get, after some quiet rounds."""
    grants = [Grant()] * workers
    for second in range(rounds):
        for n, held in enumerate(grants):
            grants[n] = boss.reply(Report(worker=f"w{n}", holds=held), second).grant
    return grants


def word(shard: int = 0, **counts: Any) -> ShardProgress:
    return ShardProgress.model_validate({"shard": shard, "attempt": 1, "items": 500, **counts})


def test_without_limits_a_grant_is_without_limits() -> None:
    reply = coordinator().reply(Report(worker="a"), 0)
    assert reply == Reply(command=Command.RUN, grant=Grant(number=1))


def test_the_first_worker_gets_the_whole_limit_and_the_second_an_even_share() -> None:
    boss = coordinator(requests_per_minute=500, tokens_per_minute=9000, input_tokens_per_minute=80, concurrency=16)
    grant = boss.reply(Report(worker="w0"), 0).grant
    assert (grant.number, grant.requests_per_minute, grant.concurrency) == (1, 500, 16)
    assert grant.tokens_per_minute == pytest.approx(9000, rel=0.02), "a request more may be sent in a minute"
    assert grant.input_tokens_per_minute == pytest.approx(80, rel=0.02)
    for grant in settled(boss, 2):
        assert (grant.requests_per_minute, grant.concurrency) == (249.5, 8)
        assert grant.tokens_per_minute == pytest.approx(4500, rel=0.03)
        assert grant.input_tokens_per_minute == pytest.approx(40, rel=0.03)


def test_what_one_worker_cannot_use_another_gets() -> None:
    boss, held = coordinator(concurrency=10), {"small": Grant(), "large": Grant()}
    for second in range(4):
        for name, concurrency in (("small", 2), ("large", None)):
            report = Report(worker=name, holds=held[name], demand=Demand(concurrency=concurrency))
            held[name] = boss.reply(report, second).grant
    assert (held["small"].concurrency, held["large"].concurrency) == (2, 8)


def test_a_grant_that_stays_the_same_keeps_its_number() -> None:
    boss = coordinator(concurrency=4)
    first = boss.reply(Report(worker="a"), 0).grant
    assert boss.reply(Report(worker="a", holds=first), 1).grant == first
    assert boss.reply(Report(worker="b"), 2).grant.number == 1
    assert boss.reply(Report(worker="a", holds=first), 3).grant.number == first.number + 1


@pytest.mark.parametrize(("limit", "workers"), [(3, 2), (2, 3), (1, 2), (10, 3)])
def test_a_whole_number_of_requests_at_once_is_shared_without_rest(limit: int, workers: int) -> None:
    grants = settled(coordinator(concurrency=limit), workers)
    assert sum(grant.concurrency or 0 for grant in grants) == limit


@pytest.mark.parametrize("limit", [0.5, 1, 3, 7])
def test_a_small_rate_is_given_in_whole_requests_and_used_up(limit: float) -> None:
    grants = settled(coordinator(requests_per_minute=limit), 5)
    rates = [grant.requests_per_minute or 0 for grant in grants]
    assert sum(rates) == limit


@pytest.mark.parametrize("goes", ["leaves", "is lost"])
def test_the_share_of_a_worker_that_goes_is_free_at_once(goes: str) -> None:
    boss = coordinator(concurrency=8)
    settled(boss, 2)
    if goes == "leaves":
        boss.reply(Report(worker="w0", leaving=True), 9)
    else:
        boss.lost("w0", 10)
    assert settled(boss, 3)[1].concurrency is not None
    assert sum(grant.concurrency or 0 for grant in settled(boss, 3)) <= 8
    boss.lost("w0", 10)
    boss.lost("w2", 10)
    assert boss.reply(Report(worker="w1"), 20).grant.concurrency == 8


@dataclass
class _Worker:
    held: Grant
    demand: Demand
    heard_of: bool = False


def _used(worker: _Worker, dimension: str) -> float:
    return float(getattr(worker.held, dimension) or 0) if worker.held.number else 0.0


@settings(max_examples=100, deadline=None)
@given(rate=st.floats(0.5, 900), at_once=st.integers(1, 40), rng=st.randoms(use_true_random=False))
def test_limits_hold_over_all_workers_through_lost_replies_joins_and_leaves(
    rate: float, at_once: int, rng: random.Random
) -> None:
    boss = coordinator(requests_per_minute=rate, concurrency=at_once)
    workers: dict[str, _Worker] = {}
    for second in range(60):
        name = f"w{rng.randrange(6)}"
        worker = workers.setdefault(name, _Worker(Grant(), Demand(concurrency=rng.choice([None, 0, 3]))))
        if rng.random() < 0.1:
            del workers[name]
            boss.reply(Report(worker=name, leaving=True), second)
            continue
        reply = boss.reply(Report(worker=name, holds=worker.held, demand=worker.demand), second)
        if rng.random() < 0.6:
            worker.held = reply.grant
        assert sum(_used(w, "requests_per_minute") for w in workers.values()) <= rate + 1e-6
        assert sum(_used(w, "concurrency") for w in workers.values()) <= at_once


def test_everybody_waits_as_long_as_the_endpoint_asked_one_of_them_to() -> None:
    boss = coordinator()
    assert boss.reply(Report(worker="a", backoff_seconds=30), 100).backoff_seconds == 30
    assert boss.reply(Report(worker="b"), 110).backoff_seconds == 20
    assert boss.reply(Report(worker="b"), 131).backoff_seconds == 0


@pytest.mark.parametrize("goes", ["leaves", "is lost"])
def test_a_wait_that_the_endpoint_asked_for_outlives_the_worker_that_told_of_it(goes: str) -> None:
    boss = coordinator()
    boss.reply(Report(worker="a", backoff_seconds=30), 100)
    if goes == "leaves":
        boss.reply(Report(worker="a", leaving=True), 101)
    else:
        boss.lost("a", 105)
    assert boss.reply(Report(worker="b"), 110).backoff_seconds == 20


def test_requests_in_flight_are_those_of_the_last_reports() -> None:
    boss = coordinator()
    boss.reply(Report(worker="a", in_flight=3), 0)
    boss.reply(Report(worker="b", in_flight=4), 0)
    boss.reply(Report(worker="a", in_flight=1), 1)
    assert boss.in_flight == 5
    boss.lost("b", 2)
    assert boss.in_flight == 1


def test_a_pause_holds_until_it_is_lifted() -> None:
    boss = coordinator()
    boss.paused = True
    assert boss.reply(Report(worker="a"), 0).command is Command.PAUSE
    boss.paused = False
    assert boss.reply(Report(worker="a"), 1).command is Command.RUN


def test_a_stop_that_one_worker_asks_for_is_told_to_all_and_stays_the_first() -> None:
    boss = coordinator()
    boss.paused = True
    assert boss.reply(Report(worker="a", stop=_STOP), 0).command is Command.STOP
    other = StopReason(category=Category.PERMISSION, message="something else")
    assert boss.reply(Report(worker="b", stop=other), 1).command is Command.STOP
    assert boss.stop == _STOP


def test_a_stop_in_a_last_report_is_heard() -> None:
    boss = coordinator()
    assert boss.reply(Report(worker="a", stop=_STOP, leaving=True), 0).command is Command.STOP
    assert boss.stop == _STOP


def test_counts_in_a_last_report_are_taken_in() -> None:
    boss = coordinator()
    boss.reply(Report(worker="a", shards=[word(succeeded=7), word(1, succeeded=2)], leaving=True), 0)
    assert boss.progress.totals().succeeded == 9


@pytest.mark.parametrize("leaving", [False, True], ids=["a report", "a last report"])
def test_a_report_of_too_many_failures_stops_the_batch(leaving: bool) -> None:
    boss = coordinator(policy=FailurePolicy(max_failure_percent=10))
    reply = boss.reply(Report(worker="a", shards=[word(succeeded=50, failed=50)], leaving=leaving), 0)
    assert reply.command is Command.STOP


def totals(**counts: Any) -> Totals:
    return Totals(**counts)


@pytest.mark.parametrize(
    ("percent", "min_items", "counts", "stops"),
    [
        pytest.param(None, 1, totals(failed=100), False, id="no policy never stops"),
        pytest.param(10, 100, totals(failed=99), False, id="too few items yet"),
        pytest.param(10, 100, totals(failed=100), True, id="just enough items"),
        pytest.param(10, 100, totals(succeeded=90, failed=10), False, id="just the percentage"),
        pytest.param(10, 100, totals(succeeded=89, failed=11), True, id="one more than the percentage"),
        pytest.param(0, 1, totals(failed=1), True, id="no failure is allowed"),
        pytest.param(0, 1, totals(succeeded=1), False, id="no failure happened"),
        pytest.param(0, 1, totals(), False, id="nothing is answered"),
        pytest.param(100, 1, totals(failed=5), False, id="any share is allowed"),
        pytest.param(
            10, 100, totals(succeeded=50, unwritten_errors={Category.TIMEOUT: 50}), True, id="unwritten failures count"
        ),
        pytest.param(10, 100, totals(failed=50, unwritten_succeeded=950), False, id="unwritten successes count"),
    ],
)
def test_a_batch_stops_when_more_than_the_allowed_share_has_failed(
    percent: float | None, min_items: int, counts: Totals, stops: bool
) -> None:
    policy = FailurePolicy(max_failure_percent=percent, min_items=min_items)
    assert (failures_exceed_policy(policy, counts) is not None) is stops


def test_the_reason_to_stop_says_how_many_failed_of_what_and_shows_one() -> None:
    counts = totals(
        succeeded=80,
        failed=20,
        errors={Category.TIMEOUT: 5, Category.REFUSAL: 15},
        samples={Category.REFUSAL: Sample(item_id="t-7", message="I cannot help with that")},
    )
    reason = failures_exceed_policy(FailurePolicy(max_failure_percent=12.5), counts)
    assert reason == StopReason(
        category=Category.REFUSAL,
        message="20 of 100 answered items failed (20.0 %), more than maxFailurePercent 12.5 allows; "
        "mostly refusal, 15 times (item t-7: I cannot help with that)",
    )


def test_a_share_a_little_over_the_allowed_one_is_not_rounded_to_it() -> None:
    reason = failures_exceed_policy(FailurePolicy(max_failure_percent=10), totals(succeeded=8990, failed=1010))
    assert reason is not None
    assert "(10 %)" not in reason.message


def test_failures_that_are_not_written_down_yet_are_not_called_unknown() -> None:
    reason = failures_exceed_policy(
        FailurePolicy(max_failure_percent=10), totals(unwritten_errors={Category.TIMEOUT: 200})
    )
    assert reason is not None
    assert "mostly unknown" not in reason.message


def test_after_a_restart_failures_are_judged_once_as_much_is_heard_again_as_was_known() -> None:
    """The first shard that is heard of may be the one with all the failures."""
    policy = FailurePolicy(max_failure_percent=10, min_items=100)
    boss = Coordinator(policy, BatchProgress(items=1000, shards=2), EndpointShares(Limits(), 0), answered_before=800)
    worst, best = word(0, succeeded=300, failed=100), word(1, succeeded=400)
    assert boss.reply(Report(worker="a", shards=[worst]), 0).command is Command.RUN
    assert boss.reply(Report(worker="b", shards=[best]), 0).command is Command.STOP


def test_after_a_restart_a_batch_that_keeps_to_the_policy_goes_on() -> None:
    policy = FailurePolicy(max_failure_percent=20, min_items=100)
    boss = Coordinator(policy, BatchProgress(items=1000, shards=2), EndpointShares(Limits(), 0), answered_before=800)
    for worker, shard in (("a", word(0, succeeded=300, failed=100)), ("b", word(1, succeeded=400))):
        assert boss.reply(Report(worker=worker, shards=[shard]), 0).command is Command.RUN
