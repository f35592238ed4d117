"""What a decision is given to look at."""

import dataclasses

import pytest

from llmbatch_contract.progress import ShardProgress
from llmbatch_contract.reports import Command, Report
from llmbatch_contract.status import Phase
from llmbatch_operator.cache import Cache, Known
from llmbatch_operator.gather import Gatherer, parse_batch, read_status
from llmbatch_operator.observed import Talk
from llmbatch_operator.status_of import Pace
from operator_tests.kube_bodies import batch_body, job_body, pod_body, terminated
from operator_tests.operator_builders import (
    PLAN,
    PLANNED,
    PLANNED_CONDITION,
    REF,
    SHARD,
    WRONG_KEY,
    session_of,
    status,
)


def _known(*jobs_and_pods: dict[str, object]) -> Known:
    cache = Cache(lambda _uid: None, lambda _pod: None)
    cache.put_batch(batch_body())
    for body in jobs_and_pods:
        (cache.put_job if body["kind"] == "Job" else cache.put_pod)(body)
    known = cache.get(REF.uid)
    assert known is not None
    return known


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_batch_is_read_once_a_generation() -> None:
    gatherer = Gatherer()
    first = gatherer.parse(batch_body())
    assert gatherer.parse(batch_body(status={"phase": "Running"})) is first
    second = gatherer.parse(batch_body(2, suspend=True))
    assert second.batch is not None
    assert second.batch.spec.suspend
    gatherer.forget(REF.uid)
    assert gatherer.parse(batch_body(2)) is not second


def test_what_is_wrong_with_a_batch_is_said_field_by_field() -> None:
    body = batch_body(parallelism="many", model=None)
    parsed = parse_batch(body)
    assert parsed.batch is None
    assert "spec.parallelism: must be a whole number, not 'many'" in parsed.problems
    seen = Gatherer().observe(_known(), parsed, None, None)
    assert (seen.spec, seen.problems) == (None, parsed.problems)


def test_jobs_that_are_going_and_pods_that_have_done_their_work_are_not_looked_at() -> None:
    going = job_body(PLAN)
    going["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    done = pod_body(SHARD, "Succeeded", name="done", state=terminated(0))
    dead = pod_body(SHARD, "Failed", name="dead", state=terminated(137, "OOMKilled"))
    forged = pod_body(SHARD, "Failed", name="forged", job="somebody-elses", state=terminated(1))
    known = _known(going, job_body(SHARD), pod_body(SHARD, name="alive"), done, dead, forged)
    seen = Gatherer().observe(known, parse_batch(batch_body()), None, None)
    assert list(seen.jobs) == [SHARD]
    assert [pod.name for pod in seen.pods] == ["alive", "dead"]


def test_a_pod_at_work_counts_though_its_job_is_not_known_any_more() -> None:
    """Its Job may have been deleted while the operator was away."""
    seen = Gatherer().observe(_known(pod_body(SHARD, job="gone")), parse_batch(batch_body()), None, None)
    assert not seen.is_at_rest(SHARD)


def test_without_a_session_nothing_was_said() -> None:
    seen = Gatherer().observe(_known(), parse_batch(batch_body()), None, None)
    assert seen.talk == Talk()
    assert Gatherer().pace(None, None).totals.finished == 0


def test_what_was_said_is_handed_on() -> None:
    session = session_of()
    session.reply(Report(worker="a", plan=PLANNED, stop=WRONG_KEY), 0)
    session.store_full = "full"
    talk = Gatherer().observe(_known(), parse_batch(batch_body()), session, None).talk
    assert talk == Talk(plan=PLANNED, stop=WRONG_KEY, store_full="full")


def test_a_stop_that_no_worker_has_asked_for_is_the_policys() -> None:
    session = session_of(failure_policy={"maxFailurePercent": 0, "minItems": 1})
    failed = ShardProgress(shard=0, attempt=1, items=10, failed=1)
    session.reply(Report(worker="a", shards=[failed]), 0)
    assert Gatherer().observe(_known(), parse_batch(batch_body()), session, None).talk.stop_is_policy


@pytest.mark.parametrize(
    ("pods", "is_drained"),
    [
        pytest.param([], True, id="nobody works"),
        pytest.param([pod_body(SHARD, name="a")], True, id="the one that works is drained"),
        pytest.param([pod_body(SHARD, name="a"), pod_body(SHARD, name="b")], False, id="another has said nothing"),
        pytest.param([pod_body(SHARD, name="b", phase="Pending")], True, id="one that has not started asks nothing"),
        pytest.param([pod_body(PLAN, name="b")], True, id="one that plans asks nothing"),
    ],
)
def test_only_pods_that_ask_must_be_drained(pods: list[dict[str, object]], is_drained: bool) -> None:
    clock = _Clock()
    session = session_of()
    session.obey(Command.PAUSE, 0)
    for at in (1, 2):
        session.reply(Report(worker="a"), at)
    clock.now = 5
    known = _known(job_body(PLAN), job_body(SHARD), *pods)
    talk = Gatherer(clock).observe(known, parse_batch(batch_body()), session, None).talk
    assert (talk.paused_s, talk.is_drained) == (5, is_drained)


def _pace_of(done: list[tuple[float, int]], first_seen: int = 0) -> Pace:
    """The pace after reports at these times; `first_seen` items were done before the operator started."""
    clock, session = _Clock(), session_of()
    gatherer, seen = Gatherer(clock), status(Phase.RUNNING, PLANNED_CONDITION)
    if first_seen and seen.items is not None:
        seen = seen.model_copy(update={"items": seen.items.model_copy(update={"succeeded": first_seen})})
    pace = gatherer.pace(session, seen)
    for clock.now, succeeded in done:
        shard = ShardProgress(shard=0, attempt=1, items=1000, succeeded=succeeded, unwritten_succeeded=2)
        session.reply(Report(worker="a", shards=[shard], in_flight=3), clock.now)
        session.has_changed = True
        pace = gatherer.pace(session, seen)
        assert not session.has_changed
    return pace


def test_the_pace_is_what_was_done_lately() -> None:
    pace = _pace_of([(10, 20), (20, 40)])
    assert (pace.totals.succeeded, pace.items_per_second) == (40, 2)


def test_what_is_answered_but_not_written_counts_as_in_flight() -> None:
    assert _pace_of([(10, 20)]).in_flight == 5


def test_what_was_done_before_a_restart_makes_nobody_fast() -> None:
    assert _pace_of([(10, 300), (20, 500), (30, 510)], first_seen=500).items_per_second == 1


def test_a_status_is_read_if_there_is_one() -> None:
    assert read_status(batch_body()) is None
    assert read_status(batch_body(status={})) is None
    read = read_status(batch_body(status={"phase": "Running", "writtenByANewerVersion": 1}))
    assert read is not None
    assert read.phase is Phase.RUNNING


def test_facts_are_values() -> None:
    assert dataclasses.is_dataclass(Gatherer().observe(_known(), parse_batch(batch_body()), None, None))


def test_what_is_known_of_the_endpoint_and_the_budget_is_handed_on() -> None:
    clock, session = _Clock(), session_of(limits={"requestsPerMinute": 60.0}, budget={"maxTokens": 100})
    gatherer = Gatherer(clock)

    def talk() -> Talk:
        return gatherer.observe(_known(), parse_batch(batch_body()), session, None).talk

    trouble = {"category": "connection", "message": "connection refused", "failures": 9, "for_s": 6}
    holds = {"number": 1, "requests_per_minute": 60.0}
    session.reply(Report.model_validate({"worker": "a", "holds": holds, "spent": {"tokens": 30}}), 0)
    assert (talk().waits_for, talk().down, talk().budget_is_spent) == (("requests/min",), None, False)
    assert talk().spent.tokens == 30
    session.reply(Report.model_validate({"worker": "a", "spent": {"tokens": 100}}), 1)
    clock.now = 9
    session.reply(Report.model_validate({"worker": "a", "spent": {"tokens": 100}, "trouble": trouble}), 9)
    down = talk().down
    assert down is not None
    assert (down.since_s, down.trouble and down.trouble.message) == (6, "connection refused")
    assert (talk().waits_for, talk().has_answered, talk().budget_is_spent) == (("the endpoint",), True, True)
