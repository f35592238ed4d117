"""What workers of one batch say, what they are told, and what is left of them when they are gone."""

from typing import Any

import pytest

from llmbatch_contract.categories import Category
from llmbatch_contract.pods import LastWords
from llmbatch_contract.progress import ShardProgress
from llmbatch_contract.reports import LEASE_S, Command, Grant, PlanFacts, Reply, Report, StopReason, StoreTrouble
from llmbatch_operator.session import Session
from operator_tests.operator_builders import FINALIZE, PLAN, PLANNED, SHARD, WRONG_KEY, final, session_of, spec


def _progress(succeeded: int = 0, failed: int = 0, shard: int = 0, **more: object) -> ShardProgress:
    fields = {"shard": shard, "attempt": 1, "items": 10, "succeeded": succeeded, "failed": failed, **more}
    if failed:
        fields["errors"] = {Category.TIMEOUT: failed}
    return ShardProgress.model_validate(fields)


def _report(session: Session, worker: str = "a", at: float = 0.0, **fields: object) -> Reply:
    return session.reply(Report.model_validate({"worker": worker, **fields}), at)


def _paused(at: float = 10.0) -> Session:
    """A session of which worker `a` has reported before it was told to pause."""
    session = session_of()
    _report(session, in_flight=2, at=at - 1)
    session.obey(Command.PAUSE, at)
    return session


def test_counts_come_from_reports() -> None:
    session = session_of()
    _report(session, plan=PLANNED, shards=[_progress(3, 1)], in_flight=2)
    _report(session, "b", shards=[_progress(10, shard=1)], in_flight=1)
    totals = session.progress.totals()
    assert (totals.succeeded, totals.failed, session.in_flight) == (13, 1, 3)
    assert (session.plan, session.progress.shards_done, session.workers) == (PLANNED, 1, 2)


def test_the_plan_is_as_the_pod_that_made_it_says() -> None:
    session = session_of()
    made = PLANNED.model_copy(update={"misfits": 2, "first_misfit": "item 3: no body"})
    session.heard_last_words("plan", LastWords(stage=PLAN, plan=made), 0)
    _report(session, plan=PLANNED)
    assert session.plan == made


def test_workers_are_told_what_was_decided() -> None:
    session = session_of()
    assert _report(session).command is Command.RUN
    session.obey(Command.PAUSE, 0)
    assert _report(session).command is Command.PAUSE
    session.obey(Command.RUN, 0)
    assert _report(session).command is Command.RUN


def test_a_failure_that_stops_one_worker_stops_all() -> None:
    session = session_of()
    assert _report(session, stop=WRONG_KEY).command is Command.STOP
    assert _report(session, "b").command is Command.STOP
    assert (session.stop, session.stopped_by_worker) == (WRONG_KEY, WRONG_KEY)


def test_too_many_failures_stop_the_batch_by_its_policy() -> None:
    session = session_of(failure_policy={"maxFailurePercent": 50, "minItems": 4})
    assert _report(session, shards=[_progress(1, 2)]).command is Command.RUN
    assert _report(session, shards=[_progress(1, 3)]).command is Command.STOP
    assert session.stop is not None
    assert session.stop.category is Category.TIMEOUT
    assert session.stopped_by_worker is None


def test_failures_count_over_all_pods_and_one_of_them_is_shown() -> None:
    session = session_of(failure_policy={"maxFailurePercent": 10, "minItems": 20})
    sample = {Category.TIMEOUT: {"item_id": "ticket-7", "message": "no answer within 300 s"}}
    assert _report(session, "a", shards=[_progress(7, 2, samples=sample)]).command is Command.RUN
    assert _report(session, "b", shards=[_progress(8, 1, shard=1)]).command is Command.RUN, "18 items are too few"
    assert _report(session, "c", shards=[_progress(2, 0, shard=2)]).command is Command.STOP
    assert session.stop is not None
    assert session.stop.message.startswith("3 of 20 answered items failed (15.0 %)")
    assert "(item ticket-7: no answer within 300 s)" in session.stop.message
    assert _report(session, "a").command is Command.STOP


def test_after_a_restart_failures_count_once_as_many_items_are_heard_of_again() -> None:
    session = session_of(failure_policy={"maxFailurePercent": 10, "minItems": 4})
    session.coordinator.answered_before = 30
    assert _report(session, "a", shards=[_progress(1, 9)]).command is Command.RUN
    assert _report(session, "b", shards=[_progress(10, 0, shard=1)]).command is Command.RUN
    assert _report(session, "c", shards=[_progress(10, 0, shard=2)]).command is Command.STOP


def test_another_policy_priority_and_budget_hold_from_the_next_report_on() -> None:
    session = session_of()
    assert _report(session).command is Command.RUN
    budget, prices = {"maxCost": 5.0}, {"inputPerMillion": 1.0}
    policy = {"maxFailurePercent": 0, "minItems": 1}
    session.use(spec(failure_policy=policy, priority=200, budget=budget, pricing=prices))
    boss = session.coordinator
    assert (boss.weight, boss.budget, boss.pricing) == (200, session.spec.budget, session.spec.endpoint.pricing)
    assert _report(session, shards=[_progress(9, 1)]).command is Command.STOP


def test_a_report_that_comes_after_the_goodbye_is_granted_nothing_and_counts_nothing() -> None:
    session = session_of(budget={"maxTokens": 10_000})
    held = _report(session, largest_tokens=100).grant
    _report(session, holds=held.dump(), spent={"tokens": 5200}, leaving=True)
    late = _report(session, holds=held.dump(), spent={"tokens": 5100})
    assert late == Reply(command=Command.STOP)
    assert (session.workers, session.coordinator.workers) == (0, 0)
    assert session.coordinator.spent.tokens == 5200


# Draining


def test_workers_are_drained_when_they_say_so_after_they_were_told_to_pause() -> None:
    session = _paused()
    _report(session, at=10.5)
    assert not session.is_drained({"a"}), "it did not yet know that it shall pause"
    _report(session, at=11.5, in_flight=1)
    assert not session.is_drained({"a"})
    _report(session, at=12.5)
    assert session.is_drained({"a"})


@pytest.mark.parametrize(
    "progress", [_progress(3, unwritten_succeeded=1), _progress(3, unwritten_errors={Category.TIMEOUT: 1})]
)
def test_workers_are_not_drained_before_everything_is_written_down(progress: ShardProgress) -> None:
    session = _paused()
    _report(session, at=10.5)
    _report(session, at=11.5, shards=[progress])
    assert not session.is_drained({"a"})


def test_every_worker_must_be_drained_but_those_that_are_gone() -> None:
    session = _paused()
    assert not session.is_drained({"a", "b"})
    _report(session, at=11)
    _report(session, at=12)
    assert not session.is_drained({"a", "b"}), "b has said nothing yet"
    assert session.is_drained({"a"})
    assert session.is_drained(set())


def test_a_worker_that_leaves_need_not_be_waited_for() -> None:
    session = _paused()
    _report(session, at=11, leaving=True)
    assert (session.workers, session.in_flight) == (0, 0)


def test_the_time_of_a_pause_is_that_of_its_first_moment() -> None:
    session = _paused(10)
    session.obey(Command.PAUSE, 15)
    assert session.paused_since == 10
    session.obey(Command.RUN, 16)
    assert session.paused_since is None


# The end of pods


def test_last_words_count_like_a_report() -> None:
    session = session_of()
    session.heard_last_words("plan", LastWords(stage=PLAN, plan=PLANNED), 0)
    session.heard_last_words("a", LastWords(stage=SHARD, progress=_progress(4, 1), stop=WRONG_KEY), 0)
    session.heard_last_words("end", LastWords(stage=FINALIZE, final=final()), 0)
    totals = session.progress.totals()
    assert (session.plan, session.stop, session.final) == (PLANNED, WRONG_KEY, final())
    assert (totals.succeeded, totals.failed, session.stopped_by_worker) == (4, 1, WRONG_KEY)


def test_last_words_may_be_heard_again_and_late() -> None:
    session = session_of()
    words = LastWords(stage=SHARD, progress=_progress(4, 1))
    _report(session, "b", shards=[_progress(6, 1, attempt=2)])
    for _ in range(2):
        session.heard_last_words("a", words, 0)
    assert session.progress.totals().finished == 7


def test_what_a_pod_had_not_written_down_when_it_ended_is_forgotten() -> None:
    session = session_of()
    words = _progress(4, unwritten_succeeded=3, unwritten_errors={Category.TIMEOUT: 2})
    session.heard_last_words("a", LastWords(stage=SHARD, progress=words), 0)
    totals = session.progress.totals()
    assert (totals.succeeded, totals.unwritten_succeeded, totals.unwritten_failed) == (4, 0, 0)


def _granted(session: Session, worker: str, at: float, **fields: object) -> float:
    """After so many reports as it takes until nothing is awaited from others."""
    grant = Grant()
    for second in range(3):
        grant = _report(session, worker, at + second, holds=grant, **fields).grant
    return grant.requests_per_minute or 0


def test_a_pod_that_has_ended_frees_what_it_was_granted() -> None:
    session = session_of(limits={"requestsPerMinute": 100.0})
    assert _granted(session, "a", 0, in_flight=5) > 90
    assert _granted(session, "b", 3) < 10
    session.lost("a", 6)
    assert _granted(session, "b", 70) > 90
    assert session.in_flight == 0


def test_what_a_pod_was_granted_that_vanished_is_kept_until_it_cannot_send_any_more() -> None:
    session = session_of(limits={"requestsPerMinute": 100.0})
    assert _granted(session, "a", 0) > 90
    session.vanished("a", 6)
    assert _granted(session, "b", 70) < 10
    assert (session.workers, session.in_flight) == (1, 0)
    for second in range(72, int(LEASE_S) + 140):  # leases run out only while somebody looks
        session.pool.facts(second)
    assert _granted(session, "b", LEASE_S + 140) > 90


def test_a_report_that_comes_after_the_pods_end_is_granted_nothing() -> None:
    session = session_of(limits={"requestsPerMinute": 100.0})
    _report(session, "a")
    session.lost("a", 1)
    assert _report(session, "a", 2, stop=WRONG_KEY).command is Command.STOP
    assert (session.workers, session.pool.facts(60).pods) == (0, 0)
    assert session.stop == WRONG_KEY


def test_nobody_holds_what_it_was_never_granted() -> None:
    session = session_of(limits={"requestsPerMinute": 100.0})
    _granted(session, "liar", 0)
    boast, grant = Grant(number=10**9, requests_per_minute=1e9), Grant()
    for second in range(3, 70):
        _report(session, "liar", second, holds=boast)
        grant = _report(session, "honest", second, holds=grant).grant
    assert session.pool.facts(70).granted.requests_per_minute <= 100
    session.lost("liar", 71)
    assert _granted(session, "honest", 72) > 90


# What workers wait for


def _waits(session: Session, *held: str, worker: str = "a", **fields: Any) -> tuple[str, ...]:
    """What the batch waits for when one more worker says that these limits hold it back, of those that it has."""
    limits = ("requests_per_minute", "tokens_per_minute", "input_tokens_per_minute", "concurrency")
    demand = {name: 1 for name in limits if name not in held}
    _report(session, worker, holds=Grant(number=1, requests_per_minute=5, concurrency=2), demand=demand, **fields)
    return session.waits_for(0)


def test_a_batch_waits_for_the_limits_that_hold_its_workers_back() -> None:
    session = session_of()
    assert _waits(session) == ()
    assert _waits(session, "requests_per_minute") == ("requests/min",)
    assert _waits(session, "requests_per_minute", "concurrency", "tokens_per_minute") == ("requests/min", "concurrency")
    assert _waits(session, waits_for_budget=True) == ("budget",)


def test_a_batch_waits_for_what_half_of_its_workers_wait_for() -> None:
    session = session_of()
    assert _waits(session, "concurrency") == ("concurrency",)
    assert _waits(session, worker="b") == ("concurrency",)
    assert _waits(session, worker="c") == ()


def test_while_the_endpoint_has_asked_to_wait_that_is_what_a_batch_waits_for() -> None:
    session = session_of()
    assert _waits(session, "concurrency", backoff_seconds=30) == ("the endpoint",)
    assert session.waits_for(31) == ("concurrency",)


def test_a_worker_that_was_told_to_stop_does_not_hide_why() -> None:
    session = session_of()
    _report(session, stop=WRONG_KEY)
    told = StopReason(category=Category.CANCELLED, message="told to stop")
    session.heard_last_words("b", LastWords(stage=SHARD, stop=told), 0)
    assert (session.stop, session.stopped_by_worker) == (WRONG_KEY, WRONG_KEY)


def test_a_plan_of_nothing_is_a_plan() -> None:
    session = session_of()
    session.heard_last_words("plan", LastWords(stage=PLAN, plan=PlanFacts(items=0, shards=0)), 0)
    assert session.plan == PlanFacts(items=0, shards=0)


# Trouble with stores


def _trouble(kind: Any, for_s: float = 30) -> StoreTrouble:
    return StoreTrouble(kind=kind, message=f"it is {kind}", for_s=for_s)


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        pytest.param([None, None], None, id="none"),
        pytest.param([_trouble("away")], "away", id="of the only worker"),
        pytest.param([_trouble("away", for_s=2)], None, id="it has just begun"),
        pytest.param([_trouble("away"), None], "away", id="of half of them"),
        pytest.param([_trouble("away"), None, None], None, id="of one, while others work"),
        pytest.param(
            [_trouble("away", for_s=90), _trouble("denied")], "denied", id="the one to be put right by somebody"
        ),
    ],
)
def test_trouble_with_the_store_is_what_most_workers_tell_of(
    told: list[StoreTrouble | None], shown: str | None
) -> None:
    session = session_of()
    for number, trouble in enumerate(told):
        _report(session, f"shards-{number}", store_trouble=trouble)
    seen = session.store_trouble
    assert (seen.kind if seen is not None else None) == shown


def test_trouble_is_over_when_the_worker_says_so_or_has_ended() -> None:
    session = session_of()
    for end in ("told", "lost"):
        _report(session, end, store_trouble=_trouble("denied"))
        assert session.store_trouble is not None
        if end == "told":
            _report(session, end)
        else:
            session.lost(end, 1)
        assert session.store_trouble is None


def test_a_pod_that_asks_nothing_tells_of_its_store_and_shares_in_nothing() -> None:
    session = session_of(endpoint={"limits": {"requestsPerMinute": 60}})
    reply = _report(session, "finalize-0", asks=False, store_trouble=_trouble("denied"))
    assert reply == Reply()
    assert session.store_trouble == _trouble("denied")
    assert session.workers == 0
    assert _granted(session, "shards-0", 1) == 60
    _report(session, "finalize-0", asks=False)
    assert session.store_trouble is None


def test_a_pod_that_has_planned_and_begins_to_ask_has_no_trouble_any_more() -> None:
    session = session_of()
    _report(session, "run-0", asks=False, store_trouble=_trouble("away"))
    assert session.store_trouble is not None
    _report(session, "run-0")
    assert session.store_trouble is None


def test_the_last_words_of_a_pod_that_asks_nothing_end_its_trouble() -> None:
    session = session_of()
    _report(session, "plan-0", asks=False, store_trouble=_trouble("away"))
    session.heard_last_words("plan-0", LastWords(stage=PLAN), 5)
    assert session.store_trouble is None
