"""Suspend, resume, cancel and deadline, in every stage: pods finish what is in flight and end, then it is done."""

from datetime import timedelta

import pytest

from llmbatch_contract.categories import Category
from llmbatch_contract.reports import Command, StopReason
from llmbatch_contract.status import ConditionType, LLMBatchStatus, Phase, Reason
from llmbatch_operator.decide import decide
from llmbatch_operator.facts import JobFacts, PodFacts
from llmbatch_operator.jobs import job_name
from llmbatch_operator.observed import Action, CreateJob, Observed, SetSuspend, Talk
from llmbatch_operator.steps import DRAIN_S
from operator_tests.operator_builders import (
    CANCELLING,
    FINALIZE,
    INLINE,
    NOW,
    PLAN,
    PLANNED,
    PLANNED_CONDITION,
    REF,
    RUN,
    SHARD,
    SUSPENDED_CONDITION,
    batch,
    final,
    job,
    pod,
    spec,
    status,
    stopping,
)

_ASKING = Talk(plan=PLANNED)
_DRAINED = Talk(plan=PLANNED, paused_s=1, is_drained=True)
_TIRED = Talk(plan=PLANNED, paused_s=DRAIN_S)
_WAITING = Talk(plan=PLANNED, paused_s=DRAIN_S - 1)
_RUNNING = status(Phase.RUNNING, PLANNED_CONDITION)
_HELD = status(Phase.SUSPENDED, PLANNED_CONDITION, SUSPENDED_CONDITION)
_CANCELLING = status(Phase.RUNNING, PLANNED_CONDITION, CANCELLING)
_PLAN_DONE = job(PLAN, is_complete=True)
_REASON = StopReason(category=Category.CANCELLED, message="spec.cancel is set")
_FINALIZE_IT = CreateJob(FINALIZE, stop=_REASON)


def _end(stage: str) -> SetSuspend:
    return SetSuspend(f"triage-3f2a1c00-{'shards' if stage == SHARD else stage}", True)


_HALTING = [
    pytest.param([job(PLAN)], [pod(PLAN)], Talk(), [_end(PLAN)], id="a plan pod asks nothing: it ends at once"),
    pytest.param([job(SHARD)], [pod(SHARD)], _ASKING, [], id="shards are told to pause first"),
    pytest.param([job(SHARD)], [pod(SHARD)], _WAITING, [], id="and may take a while"),
    pytest.param([job(SHARD)], [pod(SHARD)], _DRAINED, [_end(SHARD)], id="when nothing is in flight, they end"),
    pytest.param([job(SHARD)], [pod(SHARD)], _TIRED, [_end(SHARD)], id="or when it takes too long"),
    pytest.param([job(RUN)], [pod(RUN)], _ASKING, [], id="a pod that does everything is told to pause first"),
    pytest.param([job(RUN)], [pod(RUN)], _DRAINED, [_end(RUN)], id="and then ends"),
    pytest.param(
        [job(SHARD, is_suspended=True, active=1)], [], _DRAINED, [], id="a Job whose pods are ending is waited for"
    ),
    pytest.param(
        [job(SHARD, is_suspended=True)], [pod(SHARD, is_deleting=True)], _DRAINED, [], id="a pod that is ending, too"
    ),
    pytest.param(
        [], [pod(SHARD, is_deleting=True)], _DRAINED, [], id="even when somebody has deleted its Job in the meantime"
    ),
]


@pytest.mark.parametrize(("jobs", "pods", "talk", "actions"), _HALTING)
@pytest.mark.parametrize(
    ("asked", "stops"), [pytest.param("suspend", False, id="suspend"), pytest.param("cancel", True, id="cancel")]
)
def test_pods_are_halted_in_order(
    jobs: list[JobFacts], pods: list[PodFacts], talk: Talk, actions: list[Action], asked: str, stops: bool
) -> None:
    seen = batch(spec(**{asked: True}), jobs=jobs, pods=pods, talk=talk, status=_RUNNING)
    decision = decide(seen, NOW)
    assert (decision.phase, list(decision.actions), decision.command) == (Phase.RUNNING, actions, Command.PAUSE)
    assert decision.again_after_s == 1
    assert (ConditionType.STOPPING in decision.facts) == stops
    assert ConditionType.SUSPENDED not in decision.facts


def test_pods_of_a_job_that_has_failed_end_by_themselves() -> None:
    ending = [job(SHARD, failure="PodFailurePolicy: exit code 4", active=1)]
    decision = decide(batch(jobs=ending, pods=[pod(SHARD, is_deleting=True)], talk=_DRAINED, status=_CANCELLING), NOW)
    assert (decision.phase, decision.actions) == (Phase.RUNNING, ())


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(batch(suspend=True), id="created suspended"),
        pytest.param(batch(spec(suspend=True, input=INLINE)), id="created suspended, and small"),
        pytest.param(batch(suspend=True, jobs=[job(PLAN, is_suspended=True)]), id="while planning"),
        pytest.param(batch(suspend=True, jobs=[_PLAN_DONE], talk=_ASKING), id="between planning and asking"),
        pytest.param(
            batch(suspend=True, jobs=[job(SHARD, is_suspended=True)], talk=_DRAINED, status=_RUNNING), id="while asking"
        ),
        pytest.param(
            batch(suspend=True, jobs=[job(SHARD, is_complete=True)], talk=_ASKING, status=_RUNNING),
            id="between asking and finalizing",
        ),
        pytest.param(batch(spec(suspend=True, input=INLINE), jobs=[job(RUN, is_suspended=True)]), id="in one pod"),
        pytest.param(
            batch(suspend=True, jobs=[job(SHARD, is_suspended=True)], pods=[pod(SHARD, "Failed")], status=_RUNNING),
            id="pods that have ended do not matter",
        ),
    ],
)
def test_a_suspended_batch_waits_without_pods(seen: Observed) -> None:
    decision = decide(seen, NOW)
    assert (decision.phase, decision.actions) == (Phase.SUSPENDED, ())
    assert decision.facts[ConditionType.SUSPENDED].holds


def test_suspend_does_not_hold_up_the_writing_of_outputs() -> None:
    seen = batch(suspend=True, jobs=[job(SHARD, is_complete=True), job(FINALIZE)], talk=_ASKING, status=_RUNNING)
    decision = decide(seen, NOW)
    assert (decision.phase, decision.actions) == (Phase.FINALIZING, ())


@pytest.mark.parametrize(
    ("seen", "phase", "action"),
    [
        pytest.param(
            batch(status=status(Phase.SUSPENDED, SUSPENDED_CONDITION)), Phase.PLANNING, CreateJob(PLAN), id="new"
        ),
        pytest.param(
            batch(jobs=[job(PLAN, is_suspended=True)], status=status(Phase.SUSPENDED, SUSPENDED_CONDITION)),
            Phase.PLANNING,
            SetSuspend(job_name(REF, PLAN), False),
            id="planning",
        ),
        pytest.param(
            batch(jobs=[job(SHARD, is_suspended=True)], status=_HELD),
            Phase.RUNNING,
            SetSuspend(job_name(REF, SHARD), False),
            id="asking",
        ),
        pytest.param(
            batch(jobs=[job(SHARD, is_complete=True)], status=_HELD), Phase.FINALIZING, CreateJob(FINALIZE), id="asked"
        ),
        pytest.param(
            batch(spec(input=INLINE), jobs=[job(RUN, is_suspended=True)], status=_HELD),
            Phase.RUNNING,
            SetSuspend(job_name(REF, RUN), False),
            id="in one pod",
        ),
    ],
)
def test_a_resumed_batch_goes_on_where_it_was(seen: Observed, phase: Phase, action: Action) -> None:
    decision = decide(seen, NOW)
    assert (decision.phase, decision.actions, decision.command) == (phase, (action,), Command.RUN)
    fact = decision.facts[ConditionType.SUSPENDED]
    assert (fact.holds, fact.reason) == (False, Reason.RESUMED)


def test_resumed_while_pods_are_still_ending_the_job_is_woken() -> None:
    seen = batch(
        jobs=[job(SHARD, is_suspended=True, active=2)],
        pods=[pod(SHARD, is_deleting=True)],
        talk=_DRAINED,
        status=_RUNNING,
    )
    assert decide(seen, NOW).actions == (SetSuspend(job_name(REF, SHARD), False),)


_AT_REST = [
    pytest.param([], id="before anything began"),
    pytest.param([job(PLAN, is_suspended=True)], id="while planning"),
    pytest.param([_PLAN_DONE], id="after planning"),
    pytest.param([job(SHARD, is_suspended=True)], id="while asking"),
    pytest.param([job(SHARD, is_complete=True)], id="after asking"),
    pytest.param([job(RUN, is_suspended=True)], id="in one pod"),
]


@pytest.mark.parametrize("jobs", _AT_REST)
def test_a_cancelled_batch_is_finalized_once_that_is_written_down(jobs: list[JobFacts]) -> None:
    """A finalize Job without the condition would look like one that nobody has cancelled, after a restart."""
    first = decide(batch(cancel=True, jobs=jobs, status=_RUNNING), NOW)
    assert (first.phase, first.actions, first.again_after_s) == (Phase.FINALIZING, (), 1)
    assert first.facts[ConditionType.STOPPING].reason is Reason.CANCELLED
    second = decide(batch(cancel=True, jobs=jobs, status=_CANCELLING), NOW)
    assert (second.phase, second.actions) == (Phase.FINALIZING, (_FINALIZE_IT,))


def test_a_cancelled_batch_ends_cancelled_with_what_was_answered() -> None:
    jobs = [job(SHARD, is_suspended=True), job(FINALIZE, is_complete=True)]
    decision = decide(batch(jobs=jobs, talk=Talk(final=final(10, 2, 28)), status=_CANCELLING), NOW)
    assert decision.phase is Phase.CANCELLED
    assert decision.facts[ConditionType.CANCELLED].message == "spec.cancel is set"


def test_cancel_while_outputs_are_written_comes_too_late() -> None:
    finalizing = status(Phase.FINALIZING, PLANNED_CONDITION)
    seen = batch(cancel=True, jobs=[job(SHARD, is_complete=True), job(FINALIZE)], talk=_ASKING, status=finalizing)
    decision = decide(seen, NOW)
    assert (decision.phase, decision.actions, decision.facts) == (Phase.FINALIZING, (), {})


def test_a_batch_that_was_done_before_its_pod_could_be_stopped_has_succeeded() -> None:
    seen = batch(spec(cancel=True, input=INLINE), jobs=[job(RUN, is_complete=True)], status=_CANCELLING)
    decision = decide(
        batch(seen.spec, jobs=list(seen.jobs.values()), talk=Talk(final=final()), status=_CANCELLING), NOW
    )
    assert decision.phase is Phase.SUCCEEDED
    assert not decision.facts[ConditionType.STOPPING].holds


@pytest.mark.parametrize("fields", [{}, {"cancel": True}, {"suspend": True}], ids=["taken back", "again", "suspended"])
def test_nothing_takes_back_a_cancel_that_was_seen(fields: dict[str, bool]) -> None:
    seen = batch(spec(**fields), jobs=[job(SHARD, is_suspended=True)], status=_CANCELLING)
    assert decide(seen, NOW).actions == (_FINALIZE_IT,)


def test_cancel_ends_a_suspended_batch() -> None:
    seen = batch(spec(cancel=True, suspend=True), jobs=[job(SHARD, is_suspended=True)], status=_HELD)
    decision = decide(seen, NOW)
    assert decision.phase is Phase.FINALIZING
    assert not decision.facts[ConditionType.SUSPENDED].holds
    assert decision.facts[ConditionType.STOPPING].holds


def _at(seconds: float) -> LLMBatchStatus:
    """The status of a batch that began so long ago."""
    return status(Phase.RUNNING, PLANNED_CONDITION, start_time=NOW - timedelta(seconds=seconds))


@pytest.mark.parametrize("jobs", _AT_REST)
@pytest.mark.parametrize("is_suspended", [False, True], ids=["going on", "suspended"])
def test_the_deadline_ends_a_batch_at_any_stage(jobs: list[JobFacts], is_suspended: bool) -> None:
    seen = batch(spec(active_deadline_seconds=60, suspend=is_suspended), jobs=jobs, status=_at(60))
    fact = decide(seen, NOW).facts[ConditionType.STOPPING]
    assert (fact.reason, fact.message) == (Reason.DEADLINE_EXCEEDED, "not done within 60 s of its start")


@pytest.mark.parametrize(
    "fields", [{}, {"suspend": True, "is_suspended": True}], ids=["while it runs", "while it is suspended"]
)
def test_the_operator_looks_again_when_the_deadline_comes(fields: dict[str, bool]) -> None:
    is_suspended = fields.pop("is_suspended", False)
    seen = batch(
        spec(active_deadline_seconds=60, **fields),
        jobs=[job(SHARD, is_suspended=is_suspended)],
        talk=_ASKING,
        status=_at(50),
    )
    assert decide(seen, NOW).again_after_s == 10


def test_a_deadline_does_not_end_the_writing_of_outputs() -> None:
    seen = batch(active_deadline_seconds=60, jobs=[job(FINALIZE)], talk=_ASKING, status=_at(100))
    assert decide(seen, NOW).phase is Phase.FINALIZING
    assert ConditionType.STOPPING not in decide(seen, NOW).facts


def test_finalize_is_told_of_the_deadline() -> None:
    late = stopping(Reason.DEADLINE_EXCEEDED, "not done within 60 s of its start")
    seen = batch(jobs=[job(SHARD, is_suspended=True)], status=status(Phase.RUNNING, PLANNED_CONDITION, late))
    stop = StopReason(category=Category.DEADLINE, message="not done within 60 s of its start")
    assert decide(seen, NOW).actions == (CreateJob(FINALIZE, stop=stop),)
