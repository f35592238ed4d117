"""How a batch ends that does not end well."""

import pytest

from llmbatch_contract.categories import Category
from llmbatch_contract.pods import LastWords
from llmbatch_contract.reports import Command, StopReason
from llmbatch_contract.status import Condition, ConditionType, Phase, Reason
from llmbatch_operator.decide import decide
from llmbatch_operator.facts import JobFacts
from llmbatch_operator.jobs import job_name
from llmbatch_operator.observed import Action, CreateJob, DeleteJob, Observed, SetSuspend, Talk
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
    WRONG_KEY,
    batch,
    condition,
    failed_pod,
    final,
    job,
    pod,
    spec,
    status,
    stopping,
)

_RUNNING = status(Phase.RUNNING, PLANNED_CONDITION)
_BACKOFF = "BackoffLimitExceeded: Job has reached the specified backoff limit"
_POLICY = "PodFailurePolicy: Container worker for pod failed with exit code 4"
_DONE = job(SHARD, is_complete=True)
_SMALL = spec(input=INLINE)
_WRONG_KEY = StopReason(category=Category.AUTH, message="auth: HTTP 401: the key is wrong")


@pytest.mark.parametrize(
    ("talk", "reason", "message"),
    [
        pytest.param(
            Talk(plan=PLANNED, stop=WRONG_KEY),
            Reason.STOPPED_BY_FAILURE,
            "auth: HTTP 401: the key is wrong",
            id="a failure on which the batch stops",
        ),
        pytest.param(
            Talk(
                plan=PLANNED, stop=StopReason(category=Category.TIMEOUT, message="5 of 10 failed"), stop_is_policy=True
            ),
            Reason.FAILURE_POLICY_EXCEEDED,
            "timeout: 5 of 10 failed",
            id="too many failures",
        ),
        pytest.param(
            Talk(plan=PLANNED, stop=StopReason(category=Category.CANCELLED, message="told to stop")),
            Reason.STOPPED_BY_FAILURE,
            "unknown: told to stop",
            id="nobody has cancelled: a worker was told to stop before the operator was restarted",
        ),
        pytest.param(
            Talk(plan=PLANNED, stop=StopReason(category=Category.AUTH, message="auth (HTTP 401): the key is wrong")),
            Reason.STOPPED_BY_FAILURE,
            "auth (HTTP 401): the key is wrong",
            id="the category is not said twice",
        ),
        pytest.param(
            Talk(plan=PLANNED, stop=StopReason(category=Category.AUTH, message="authentication failed")),
            Reason.STOPPED_BY_FAILURE,
            "auth: authentication failed",
            id="a word that only begins like the category is none",
        ),
    ],
)
def test_a_stop_ends_the_batch(talk: Talk, reason: Reason, message: str) -> None:
    decision = decide(batch(jobs=[job(SHARD)], pods=[pod(SHARD)], talk=talk, status=_RUNNING), NOW)
    fact = decision.facts[ConditionType.STOPPING]
    assert (fact.reason, fact.message, decision.command) == (reason, message, Command.PAUSE)


@pytest.mark.parametrize(
    ("known", "stop"),
    [
        pytest.param(
            stopping(Reason.STOPPED_BY_FAILURE, "auth: HTTP 401: the key is wrong"),
            _WRONG_KEY,
            id="a failure: with its category",
        ),
        pytest.param(
            stopping(Reason.FAILURE_POLICY_EXCEEDED, "timeout: 5 of 10 failed"),
            StopReason(category=Category.TIMEOUT, message="timeout: 5 of 10 failed"),
            id="the failure policy: with the commonest category",
        ),
        pytest.param(
            stopping(Reason.WORKERS_FAILED, "the pods of 2 shards failed too often; the last: OOMKilled"),
            StopReason(category=Category.UNKNOWN, message="the pods of 2 shards failed too often; the last: OOMKilled"),
            id="dying pods",
        ),
    ],
)
def test_after_a_restart_the_condition_says_why_and_finalize_is_told(known: Condition, stop: StopReason) -> None:
    seen = batch(jobs=[job(SHARD, failure=_POLICY)], status=status(Phase.RUNNING, PLANNED_CONDITION, known))
    decision = decide(seen, NOW)
    assert decision.actions == (CreateJob(FINALIZE, stop=stop),)
    ended = [*seen.jobs.values(), job(FINALIZE, is_complete=True)]
    decision = decide(batch(jobs=ended, talk=Talk(final=final(10, 0, 30)), status=seen.status), NOW)
    assert (decision.phase, decision.facts[ConditionType.FAILED].reason) == (Phase.FAILED, known.reason)


_OOM = pod(SHARD, "Failed", ended_by="OOMKilled, exit code 137")


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        pytest.param(
            batch(jobs=[job(SHARD, failure="FailedIndexes: ", failed_indexes=2)], pods=[_OOM], status=_RUNNING),
            "the pods of 2 shards failed too often; the last: OOMKilled, exit code 137",
            id="shards out of memory",
        ),
        pytest.param(
            batch(
                jobs=[job(SHARD, failure="FailedIndexes: ", failed_indexes=1)],
                pods=[_OOM, failed_pod(SHARD, "StoreError", "the store cannot be read")],
                status=_RUNNING,
            ),
            "the pods of 1 shard failed too often; the last: the store cannot be read",
            id="words say more than a reason",
        ),
        pytest.param(
            batch(jobs=[job(SHARD, failure=_BACKOFF)], status=_RUNNING),
            f"the pods of the batch failed too often; the last: {_BACKOFF}",
            id="after the pods are gone",
        ),
        pytest.param(
            batch(
                _SMALL,
                jobs=[job(RUN, failure=_BACKOFF)],
                pods=[pod(RUN, "Failed", ended_by="OOMKilled, exit code 137")],
            ),
            "the pods of the batch failed too often; the last: OOMKilled, exit code 137",
            id="the pod that does everything",
        ),
    ],
)
def test_pods_that_keep_dying_end_the_batch(seen: Observed, message: str) -> None:
    fact = decide(seen, NOW).facts[ConditionType.STOPPING]
    assert (fact.reason, fact.message) == (Reason.WORKERS_FAILED, message)


@pytest.mark.parametrize(
    ("seen", "reason", "message"),
    [
        pytest.param(
            batch(
                jobs=[job(PLAN, failure=_POLICY)], pods=[failed_pod(PLAN, "InputError", "items.csv: line 3: no quote")]
            ),
            Reason.INPUT_INVALID,
            "items.csv: line 3: no quote",
            id="bad input",
        ),
        pytest.param(
            batch(
                jobs=[job(PLAN, failure=_BACKOFF)], pods=[failed_pod(PLAN, "InputMissingError", "no such ConfigMap")]
            ),
            Reason.INPUT_MISSING,
            "no such ConfigMap",
            id="input that never came",
        ),
        pytest.param(
            batch(_SMALL, jobs=[job(RUN, failure=_POLICY)], pods=[failed_pod(RUN, "DuplicateIdError", "id 7 twice")]),
            Reason.INPUT_INVALID,
            "id 7 twice",
            id="bad input of a small batch",
        ),
        pytest.param(
            batch(jobs=[job(PLAN, failure=_BACKOFF)], pods=[failed_pod(PLAN, "StoreError", "the store is broken")]),
            Reason.WORKERS_FAILED,
            "planning failed: the store is broken",
            id="no fault of the input",
        ),
        pytest.param(
            batch(jobs=[job(PLAN, failure=_BACKOFF)], pods=[pod(PLAN, "Failed", ended_by="OOMKilled, exit code 137")]),
            Reason.WORKERS_FAILED,
            "planning failed: OOMKilled, exit code 137",
            id="out of memory",
        ),
        pytest.param(
            batch(jobs=[job(PLAN, failure=_BACKOFF)]),
            Reason.WORKERS_FAILED,
            f"planning failed: {_BACKOFF}",
            id="nobody knows why",
        ),
    ],
)
def test_a_batch_that_cannot_be_planned_has_failed(seen: Observed, reason: Reason, message: str) -> None:
    decision = decide(seen, NOW)
    fact = decision.facts[ConditionType.FAILED]
    assert (decision.phase, decision.actions, fact.reason, fact.message) == (Phase.FAILED, (), reason, message)


def test_a_missing_input_blocks_while_the_job_tries_again_and_heals() -> None:
    missing = failed_pod(PLAN, "InputMissingError", "ConfigMap tickets has no key items.csv")
    decision = decide(batch(jobs=[job(PLAN, active=0)], pods=[missing]), NOW)
    assert decision.facts[ConditionType.BLOCKED].reason is Reason.INPUT_MISSING
    blocked = status(Phase.PLANNING, condition(ConditionType.BLOCKED, Reason.INPUT_MISSING))
    seen = batch(jobs=[job(PLAN)], pods=[missing, pod(PLAN, name="plan-1")], status=blocked)
    assert not decide(seen, NOW).facts[ConditionType.BLOCKED].holds


@pytest.mark.parametrize(
    ("known", "error", "phase", "reason", "message"),
    [
        pytest.param(
            [],
            "StoreError",
            Phase.FAILED,
            Reason.WORKERS_FAILED,
            "finalizing failed: it broke",
            id="for no known reason",
        ),
        pytest.param(
            [],
            "InvariantError",
            Phase.FAILED,
            Reason.INVARIANT_BROKEN,
            "finalizing failed: it broke",
            id="items without a record",
        ),
        pytest.param(
            [CANCELLING],
            "InputError",
            Phase.CANCELLED,
            Reason.CANCELLED,
            "spec.cancel is set; there are no outputs: it broke",
            id="cancelled before it was known that the input is bad",
        ),
        pytest.param(
            [stopping(Reason.STOPPED_BY_FAILURE, "auth: HTTP 401")],
            "StoreError",
            Phase.FAILED,
            Reason.STOPPED_BY_FAILURE,
            "auth: HTTP 401; there are no outputs: it broke",
            id="after a stop",
        ),
    ],
)
def test_outputs_that_cannot_be_written_end_the_batch(
    known: list[Condition], error: str, phase: Phase, reason: Reason, message: str
) -> None:
    seen = batch(
        jobs=[_DONE, job(FINALIZE, failure=_BACKOFF)],
        pods=[failed_pod(FINALIZE, error, "it broke")],
        status=status(Phase.FINALIZING, PLANNED_CONDITION, *known),
    )
    decision = decide(seen, NOW)
    type_ = ConditionType.CANCELLED if phase is Phase.CANCELLED else ConditionType.FAILED
    assert decision.phase is phase
    assert (decision.facts[type_].reason, decision.facts[type_].message) == (reason, message)


@pytest.mark.parametrize(
    ("jobs", "actions"),
    [
        pytest.param([], [CreateJob(FINALIZE, stop=_WRONG_KEY)], id="it was deleted by hand"),
        pytest.param([job(FINALIZE)], [], id="it is at work"),
        pytest.param([job(FINALIZE, is_suspended=True)], [SetSuspend(job_name(REF, FINALIZE), False)], id="it sleeps"),
        pytest.param(
            [job(FINALIZE, is_complete=True)],
            [DeleteJob(job_name(REF, FINALIZE))],
            id="it is complete, and its pod is gone with what it had to say",
        ),
    ],
)
def test_after_a_stop_finalize_is_seen_to_its_end(jobs: list[JobFacts], actions: list[Action]) -> None:
    known = stopping(Reason.STOPPED_BY_FAILURE, "auth: HTTP 401: the key is wrong")
    seen = batch(jobs=[job(SHARD, failure=_POLICY), *jobs], status=status(Phase.FINALIZING, PLANNED_CONDITION, known))
    decision = decide(seen, NOW)
    assert (decision.phase, list(decision.actions)) == (Phase.FINALIZING, actions)


def test_last_words_of_an_earlier_pod_do_not_end_a_batch_that_goes_on() -> None:
    words = LastWords(stage=SHARD)
    seen = batch(jobs=[job(SHARD)], pods=[pod(SHARD, "Failed", last_words=words)], status=_RUNNING)
    assert decide(seen, NOW).phase is Phase.RUNNING
