"""What workers of one batch say, what they are told, and what is left of them when they are gone."""

import pytest

from llmbatch_contract.categories import Category
from llmbatch_contract.pods import LastWords
from llmbatch_contract.progress import ShardProgress
from llmbatch_contract.reports import Command, Demand, PlanFacts, Reply, Report, StopReason
from llmbatch_operator.session import Session
from operator_tests.operator_builders import FINALIZE, PLAN, PLANNED, SHARD, WRONG_KEY, final, spec


def _progress(succeeded: int = 0, failed: int = 0, shard: int = 0, **more: object) -> ShardProgress:
    fields = {"shard": shard, "attempt": 1, "items": 10, "succeeded": succeeded, "failed": failed, **more}
    if failed:
        fields["errors"] = {Category.TIMEOUT: failed}
    return ShardProgress.model_validate(fields)


def _report(session: Session, worker: str = "a", at: float = 0.0, **fields: object) -> Reply:
    return session.reply(Report.model_validate({"worker": worker, **fields}), at)


def _paused(at: float = 10.0) -> Session:
    """A session of which worker `a` has reported before it was told to pause."""
    session = Session(spec())
    _report(session, in_flight=2, at=at - 1)
    session.obey(Command.PAUSE, at)
    return session


def test_counts_come_from_reports() -> None:
    session = Session(spec())
    _report(session, plan=PLANNED, shards=[_progress(3, 1)], in_flight=2)
    _report(session, "b", shards=[_progress(10, shard=1)], in_flight=1)
    totals = session.progress.totals()
    assert (totals.succeeded, totals.failed, session.in_flight) == (13, 1, 3)
    assert (session.plan, session.progress.shards_done, session.workers) == (PLANNED, 1, 2)


def test_the_plan_is_as_the_pod_that_made_it_says() -> None:
    session = Session(spec())
    made = PLANNED.model_copy(update={"misfits": 2, "first_misfit": "item 3: no body"})
    session.heard_last_words("plan", LastWords(stage=PLAN, plan=made))
    _report(session, plan=PLANNED)
    assert session.plan == made


def test_workers_are_told_what_was_decided() -> None:
    session = Session(spec())
    assert _report(session).command is Command.RUN
    session.obey(Command.PAUSE, 0)
    assert _report(session).command is Command.PAUSE
    session.obey(Command.RUN, 0)
    assert _report(session).command is Command.RUN


def test_a_failure_that_stops_one_worker_stops_all() -> None:
    session = Session(spec())
    assert _report(session, stop=WRONG_KEY).command is Command.STOP
    assert _report(session, "b").command is Command.STOP
    assert (session.stop, session.stopped_by_worker) == (WRONG_KEY, WRONG_KEY)


def test_too_many_failures_stop_the_batch_by_its_policy() -> None:
    session = Session(spec(failure_policy={"maxFailurePercent": 50, "minItems": 4}))
    assert _report(session, shards=[_progress(1, 2)]).command is Command.RUN
    assert _report(session, shards=[_progress(1, 3)]).command is Command.STOP
    assert session.stop is not None
    assert session.stop.category is Category.TIMEOUT
    assert session.stopped_by_worker is None


def test_another_policy_and_other_limits_hold_from_the_next_report_on() -> None:
    session = Session(spec(limits={"requestsPerMinute": 100.0}))
    assert _report(session).grant.requests_per_minute == 100
    session.use(spec(limits={"requestsPerMinute": 30.0}, failure_policy={"maxFailurePercent": 0, "minItems": 1}))
    reply = _report(session, holds=1, shards=[_progress(9, 1)])
    assert (reply.grant.requests_per_minute, reply.command) == (30, Command.STOP)


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
    session = Session(spec())
    session.heard_last_words("plan", LastWords(stage=PLAN, plan=PLANNED))
    session.heard_last_words("a", LastWords(stage=SHARD, progress=_progress(4, 1), stop=WRONG_KEY))
    session.heard_last_words("end", LastWords(stage=FINALIZE, final=final()))
    totals = session.progress.totals()
    assert (session.plan, session.stop, session.final) == (PLANNED, WRONG_KEY, final())
    assert (totals.succeeded, totals.failed, session.stopped_by_worker) == (4, 1, WRONG_KEY)


def test_last_words_may_be_heard_again_and_late() -> None:
    session = Session(spec())
    words = LastWords(stage=SHARD, progress=_progress(4, 1))
    _report(session, "b", shards=[_progress(6, 1, attempt=2)])
    for _ in range(2):
        session.heard_last_words("a", words)
    assert session.progress.totals().finished == 7


def test_what_a_pod_had_not_written_down_when_it_ended_is_forgotten() -> None:
    session = Session(spec())
    words = _progress(4, unwritten_succeeded=3, unwritten_errors={Category.TIMEOUT: 2})
    session.heard_last_words("a", LastWords(stage=SHARD, progress=words))
    totals = session.progress.totals()
    assert (totals.succeeded, totals.unwritten_succeeded, totals.unwritten_failed) == (4, 0, 0)


def test_a_pod_without_a_last_word_frees_what_it_was_granted() -> None:
    session = Session(spec(limits={"requestsPerMinute": 100.0}))
    demand = Demand(requests_per_minute=100)
    assert _report(session, "a", demand=demand, in_flight=5).grant.requests_per_minute == 100
    assert _report(session, "b", demand=demand).grant.requests_per_minute == 0
    session.lost("a")
    assert _report(session, "b", demand=demand).grant.requests_per_minute == 100
    assert session.in_flight == 0


def test_a_worker_that_was_told_to_stop_does_not_hide_why() -> None:
    session = Session(spec())
    _report(session, stop=WRONG_KEY)
    told = StopReason(category=Category.CANCELLED, message="told to stop")
    session.heard_last_words("b", LastWords(stage=SHARD, stop=told))
    assert (session.stop, session.stopped_by_worker) == (WRONG_KEY, WRONG_KEY)


def test_a_plan_of_nothing_is_a_plan() -> None:
    session = Session(spec())
    session.heard_last_words("plan", LastWords(stage=PLAN, plan=PlanFacts(items=0, shards=0)))
    assert session.plan == PlanFacts(items=0, shards=0)
