"""When pods ask another endpoint than they should: they end, and others begin, by the same Job or by another."""

from dataclasses import replace
from typing import Any

import pytest

from llmbatch_contract.reports import Command
from llmbatch_contract.status import ConditionType, Phase, Reason
from llmbatch_operator.decide import decide
from llmbatch_operator.endpoint_marks import KEY_ANNOTATION, Mark
from llmbatch_operator.facts import JobFacts, PodFacts
from llmbatch_operator.observed import Decision, DeleteJob, SetSuspend, Talk
from operator_tests.operator_builders import (
    FINALIZE,
    NOW,
    PLANNED,
    PLANNED_CONDITION,
    RUN,
    SHARD,
    batch,
    job,
    pod,
    status,
)

_NOW_ASKED = Mark("new", "secret/key")
_MOVED = Mark("old", "secret/key")
_OTHER_KEY = Mark("new", "old-secret/key")
_SHARDS = "triage-3f2a1c00-shards"


def _decide(a_job: JobFacts, *pods: PodFacts, **talk: Any) -> Decision:
    seen = batch(
        jobs=[a_job],
        pods=list(pods),
        talk=Talk(plan=PLANNED, **talk),
        status=status(Phase.RUNNING, PLANNED_CONDITION),
    )
    return decide(replace(seen, mark=_NOW_ASKED), NOW)


@pytest.mark.parametrize("mark", [_MOVED, _OTHER_KEY], ids=["another URL", "another key"])
def test_pods_are_paused_then_ended(mark: Mark) -> None:
    first = _decide(job(SHARD, mark=mark), pod(SHARD))
    assert (first.command, first.actions) == (Command.PAUSE, ())
    assert first.facts[ConditionType.BLOCKED].reason is Reason.ENDPOINT_CHANGED
    drained = _decide(job(SHARD, mark=mark), pod(SHARD), is_drained=True)
    assert drained.actions == (SetSuspend(_SHARDS, True),)
    patient = _decide(job(SHARD, mark=mark), pod(SHARD), paused_s=20.0)
    assert patient.actions == (SetSuspend(_SHARDS, True),)


@pytest.mark.parametrize(
    ("mark", "action"),
    [
        pytest.param(_MOVED, SetSuspend(_SHARDS, False), id="with the same key, the Job is woken"),
        pytest.param(_OTHER_KEY, DeleteJob(_SHARDS), id="with another, it is made anew"),
        pytest.param(None, SetSuspend(_SHARDS, False), id="of one that has no mark, nobody knows"),
    ],
)
def test_when_all_have_ended_others_begin(mark: Mark | None, action: object) -> None:
    assert _decide(job(SHARD, mark=mark, is_suspended=True)).actions == (action,)


@pytest.mark.parametrize(
    "a_job",
    [
        pytest.param(job(SHARD, mark=_NOW_ASKED), id="pods ask what they should"),
        pytest.param(job(SHARD, mark=None), id="a Job of an older operator"),
        pytest.param(job(FINALIZE, mark=_MOVED), id="a stage that asks nothing"),
    ],
)
def test_no_pod_is_replaced_without_need(a_job: JobFacts) -> None:
    decision = _decide(a_job, pod(a_job.stage))
    assert decision.command is Command.RUN
    assert ConditionType.BLOCKED not in decision.facts


def test_a_batch_in_one_pod_is_no_exception() -> None:
    decision = _decide(job(RUN, mark=_MOVED), pod(RUN), is_drained=True)
    assert decision.actions == (SetSuspend("triage-3f2a1c00-run", True),)


def test_a_mark_is_read_from_the_job_it_was_written_on() -> None:
    assert Mark.read(_MOVED.annotations) == _MOVED
    assert Mark.read({}) is None
    assert Mark.read({KEY_ANNOTATION: "a/b"}) is None
