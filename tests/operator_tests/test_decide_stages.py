"""What is done next while nothing is in the way: plan, ask, finalize, each by a Job; whatever got lost in between."""

import pytest

from llmbatch_contract.reports import Command, PlanFacts
from llmbatch_contract.status import ConditionType, Phase, Reason
from llmbatch_operator.decide import SOLO_ITEMS, decide
from llmbatch_operator.facts import JobFacts
from llmbatch_operator.jobs import job_name
from llmbatch_operator.observed import Action, CreateJob, DeleteJob, Observed, SetParallelism, SetSuspend, Talk
from operator_tests.operator_builders import (
    FINALIZE,
    INLINE,
    NOW,
    PLAN,
    PLANNED,
    PLANNED_CONDITION,
    REF,
    RUN,
    SHARD,
    batch,
    final,
    job,
    pod,
    spec,
    status,
)

_KNOWN = Talk(plan=PLANNED)
_DONE = Talk(plan=PLANNED, final=final())
_ASK = CreateJob(SHARD, shards=4, parallelism=4)
_RUNNING = status(Phase.RUNNING, PLANNED_CONDITION)
_FINALIZING = status(Phase.FINALIZING, PLANNED_CONDITION)
_SMALL = spec(input=INLINE)

_PLAN_DONE = job(PLAN, is_complete=True)
_SHARDS_DONE = job(SHARD, is_complete=True)
_FINALIZED = job(FINALIZE, is_complete=True)
_RAN = job(RUN, is_complete=True)


@pytest.mark.parametrize(
    ("seen", "phase", "actions"),
    [
        pytest.param(batch(), Phase.PLANNING, [CreateJob(PLAN)], id="a new batch is planned"),
        pytest.param(
            batch(jobs=[job(PLAN)], pods=[pod(PLAN)], status=status(Phase.PLANNING)),
            Phase.PLANNING,
            [],
            id="a plan Job at work is waited for",
        ),
        pytest.param(
            batch(jobs=[_PLAN_DONE], talk=_KNOWN, status=status(Phase.PLANNING)),
            Phase.RUNNING,
            [_ASK],
            id="what is planned is asked",
        ),
        pytest.param(
            batch(jobs=[job(PLAN)], pods=[pod(PLAN)], talk=_KNOWN, status=status(Phase.PLANNING)),
            Phase.RUNNING,
            [_ASK],
            id="as soon as the plan is known, though its Job is not complete",
        ),
        pytest.param(
            batch(jobs=[_PLAN_DONE], pods=[pod(PLAN)], status=status(Phase.PLANNING)),
            Phase.PLANNING,
            [],
            id="a complete plan Job whose pod was not yet heard is waited for",
        ),
        pytest.param(
            batch(jobs=[_PLAN_DONE], status=status(Phase.PLANNING)),
            Phase.PLANNING,
            [DeleteJob(job_name(REF, PLAN))],
            id="a plan that went with its pod is made again",
        ),
        pytest.param(
            batch(status=_RUNNING), Phase.RUNNING, [_ASK], id="the status remembers the plan when pods are gone"
        ),
        pytest.param(
            batch(jobs=[_PLAN_DONE, job(SHARD)], talk=_KNOWN, status=_RUNNING),
            Phase.RUNNING,
            [],
            id="shards at work are waited for",
        ),
        pytest.param(
            batch(jobs=[_PLAN_DONE, _SHARDS_DONE], talk=_KNOWN, status=_RUNNING),
            Phase.FINALIZING,
            [CreateJob(FINALIZE)],
            id="what is asked is finalized",
        ),
        pytest.param(
            batch(jobs=[_PLAN_DONE], talk=Talk(plan=PlanFacts(items=0, shards=0)), status=status(Phase.PLANNING)),
            Phase.FINALIZING,
            [CreateJob(FINALIZE)],
            id="without items nothing is asked",
        ),
        pytest.param(
            batch(jobs=[_SHARDS_DONE, job(FINALIZE)], talk=_KNOWN, status=_FINALIZING),
            Phase.FINALIZING,
            [],
            id="a finalize Job at work is waited for",
        ),
        pytest.param(
            batch(jobs=[_SHARDS_DONE, _FINALIZED], talk=_DONE, status=_FINALIZING),
            Phase.SUCCEEDED,
            [],
            id="outputs without errors: succeeded",
        ),
        pytest.param(
            batch(jobs=[_SHARDS_DONE, _FINALIZED], talk=Talk(plan=PLANNED, final=final(39, 1)), status=_FINALIZING),
            Phase.COMPLETED_WITH_ERRORS,
            [],
            id="outputs with errors: completed with errors",
        ),
        pytest.param(
            batch(jobs=[_SHARDS_DONE, _FINALIZED], pods=[pod(FINALIZE)], talk=_KNOWN, status=_FINALIZING),
            Phase.FINALIZING,
            [],
            id="a complete finalize Job whose pod was not yet heard is waited for",
        ),
        pytest.param(
            batch(jobs=[_SHARDS_DONE, _FINALIZED], talk=_KNOWN, status=_FINALIZING),
            Phase.FINALIZING,
            [DeleteJob(job_name(REF, FINALIZE))],
            id="final counts that went with their pod are read again",
        ),
    ],
)
def test_a_batch_goes_from_stage_to_stage(seen: Observed, phase: Phase, actions: list[Action]) -> None:
    decision = decide(seen, NOW)
    assert (decision.phase, list(decision.actions), decision.command) == (phase, actions, Command.RUN)


@pytest.mark.parametrize(
    ("seen", "phase", "actions"),
    [
        pytest.param(batch(_SMALL), Phase.PLANNING, [CreateJob(RUN)], id="one pod does everything"),
        pytest.param(
            batch(spec(input={"items": [{}] * SOLO_ITEMS})), Phase.PLANNING, [CreateJob(RUN)], id="with 100 items, too"
        ),
        pytest.param(
            batch(spec(input={"items": [{}] * (SOLO_ITEMS + 1)})), Phase.PLANNING, [CreateJob(PLAN)], id="not with 101"
        ),
        pytest.param(batch(_SMALL, jobs=[job(RUN)]), Phase.PLANNING, [], id="it plans first"),
        pytest.param(batch(_SMALL, jobs=[job(RUN)], talk=_KNOWN), Phase.RUNNING, [], id="then it asks"),
        pytest.param(batch(_SMALL, jobs=[_RAN], talk=_DONE), Phase.SUCCEEDED, [], id="and writes the outputs"),
        pytest.param(
            batch(_SMALL, jobs=[_RAN], pods=[pod(RUN)], talk=_KNOWN),
            Phase.RUNNING,
            [],
            id="its last words are waited for",
        ),
        pytest.param(
            batch(_SMALL, jobs=[_RAN], talk=_KNOWN),
            Phase.RUNNING,
            [DeleteJob(job_name(REF, RUN))],
            id="if they went with the pod, another pod reads the outputs",
        ),
    ],
)
def test_a_small_batch_takes_one_pod(seen: Observed, phase: Phase, actions: list[Action]) -> None:
    decision = decide(seen, NOW)
    assert (decision.phase, list(decision.actions)) == (phase, actions)


@pytest.mark.parametrize(
    ("seen", "action"),
    [
        pytest.param(batch(status=status(Phase.PLANNING)), CreateJob(PLAN), id="plan"),
        pytest.param(batch(jobs=[_PLAN_DONE], talk=_KNOWN, status=_RUNNING), _ASK, id="shards"),
        pytest.param(batch(jobs=[_SHARDS_DONE], status=_FINALIZING), CreateJob(FINALIZE), id="finalize"),
        pytest.param(batch(_SMALL, status=_RUNNING), CreateJob(RUN), id="run"),
        pytest.param(batch(status=_FINALIZING), _ASK, id="shards and finalize: shards find that they are done"),
    ],
)
def test_a_job_that_was_deleted_is_made_again(seen: Observed, action: Action) -> None:
    assert decide(seen, NOW).actions == (action,)


@pytest.mark.parametrize(
    ("jobs", "talk"),
    [
        pytest.param([job(PLAN, is_suspended=True)], Talk(), id="plan"),
        pytest.param([job(SHARD, is_suspended=True)], _KNOWN, id="shards"),
        pytest.param([_SHARDS_DONE, job(FINALIZE, is_suspended=True)], _KNOWN, id="finalize"),
        pytest.param([job(RUN, is_suspended=True)], Talk(), id="run"),
    ],
)
def test_a_job_that_is_found_suspended_goes_on(jobs: list[JobFacts], talk: Talk) -> None:
    assert decide(batch(jobs=jobs, talk=talk), NOW).actions == (SetSuspend(jobs[-1].name, False),)


@pytest.mark.parametrize(
    ("wanted", "has", "actions"),
    [
        pytest.param(2, 4, [SetParallelism("triage-3f2a1c00-shards", 2)], id="fewer pods"),
        pytest.param(4, 2, [SetParallelism("triage-3f2a1c00-shards", 4)], id="more pods"),
        pytest.param(9, 2, [SetParallelism("triage-3f2a1c00-shards", 4)], id="never more than shards"),
        pytest.param(9, 4, [], id="nothing to change"),
    ],
)
def test_parallelism_may_be_changed_while_shards_are_asked(wanted: int, has: int, actions: list[Action]) -> None:
    seen = batch(parallelism=wanted, jobs=[job(SHARD, parallelism=has)], talk=_KNOWN, status=_RUNNING)
    assert list(decide(seen, NOW).actions) == actions


def test_a_suspended_job_wakes_with_the_parallelism_that_was_set_meanwhile() -> None:
    seen = batch(parallelism=1, jobs=[job(SHARD, is_suspended=True)], talk=_KNOWN, status=_RUNNING)
    name = job_name(REF, SHARD)
    assert decide(seen, NOW).actions == (SetSuspend(name, False), SetParallelism(name, 1))


def test_parallelism_does_not_touch_a_job_that_is_done() -> None:
    seen = batch(parallelism=1, jobs=[_SHARDS_DONE, job(FINALIZE)], talk=_KNOWN, status=_FINALIZING)
    assert decide(seen, NOW).actions == ()


def test_what_was_planned_is_told_once() -> None:
    misfit = PLANNED.model_copy(update={"misfits": 2, "first_misfit": "item 3: no body"})
    fact = decide(batch(talk=Talk(plan=misfit)), NOW).facts[ConditionType.PLANNED]
    assert fact.holds
    assert fact.reason is Reason.PLANNED
    assert fact.message == "40 items in 4 shards; the templates do not fit 2 or more: item 3: no body"
    assert ConditionType.PLANNED not in decide(batch(talk=Talk(plan=misfit), status=_RUNNING), NOW).facts


def test_the_outcome_is_told_in_numbers() -> None:
    seen = batch(jobs=[_FINALIZED], talk=Talk(plan=PLANNED, final=final(12_345, 2)), status=_FINALIZING)
    fact = decide(seen, NOW).facts[ConditionType.COMPLETE]
    assert (fact.reason, fact.message) == (Reason.COMPLETED_WITH_ERRORS, "12,345 of 12,347 items succeeded, 2 failed")
