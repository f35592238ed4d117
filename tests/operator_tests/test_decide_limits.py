"""Batches that nothing can be done for, or not now: a spec that is not valid, and an end that is an end."""

from datetime import timedelta

import pytest

from llmbatch_contract.status import ConditionType, Phase, Reason
from llmbatch_operator.decide import decide
from llmbatch_operator.observed import Action, DeleteBatch, Observed, Talk
from operator_tests.operator_builders import (
    CANCELLING,
    NOW,
    PLAN,
    PLANNED,
    PLANNED_CONDITION,
    SHARD,
    SUSPENDED_CONDITION,
    WRONG_KEY,
    batch,
    job,
    pod,
    spec,
    status,
)

_RUNNING = status(Phase.RUNNING, PLANNED_CONDITION)
_DONE = job(SHARD, is_complete=True)


# What the API server let through, and should not have.


def test_a_batch_whose_spec_was_never_valid_has_failed() -> None:
    decision = decide(batch(problems="spec.model: is required"), NOW)
    fact = decision.facts[ConditionType.FAILED]
    assert (decision.phase, fact.reason) == (Phase.FAILED, Reason.INVALID_SPEC)
    assert fact.message == "spec.model: is required; delete the batch and apply a correct one"


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(batch(problems="x", jobs=[job(SHARD)], talk=Talk(plan=PLANNED), status=_RUNNING), id="pods go on"),
        pytest.param(
            batch(
                problems="x", jobs=[job(PLAN, is_complete=True)], talk=Talk(plan=PLANNED), status=status(Phase.PLANNING)
            ),
            id="after planning",
        ),
        pytest.param(batch(problems="x", jobs=[_DONE], status=_RUNNING), id="after asking"),
        pytest.param(batch(problems="x", status=_RUNNING), id="when all Jobs are gone"),
        pytest.param(batch(problems="x", status=status(Phase.PLANNING)), id="before anything was planned"),
        pytest.param(batch(problems="x", status=status(Phase.SUSPENDED, SUSPENDED_CONDITION)), id="before it began"),
        pytest.param(
            batch(problems="x", jobs=[_DONE], status=status(Phase.RUNNING, PLANNED_CONDITION, CANCELLING)),
            id="when it is about to be finalized early",
        ),
    ],
)
def test_a_spec_that_was_spoilt_later_blocks_the_next_stage(seen: Observed) -> None:
    decision = decide(seen, NOW)
    assert not decision.phase.is_final
    assert decision.actions == ()
    assert decision.facts[ConditionType.BLOCKED].reason is Reason.INVALID_SPEC


def test_a_suspended_batch_stays_so_when_its_spec_is_spoilt() -> None:
    held = status(Phase.SUSPENDED, PLANNED_CONDITION, SUSPENDED_CONDITION)
    decision = decide(batch(problems="x", jobs=[job(SHARD, is_suspended=True)], status=held), NOW)
    assert (decision.phase, decision.actions) == (Phase.SUSPENDED, ())


# When it is over.


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase.is_final])
def test_nothing_happens_after_the_end(phase: Phase) -> None:
    over = status(phase, PLANNED_CONDITION, completion_time=NOW)
    seen = batch(cancel=True, jobs=[job(SHARD)], pods=[pod(SHARD)], talk=Talk(stop=WRONG_KEY), status=over)
    decision = decide(seen, NOW)
    assert (decision.phase, decision.actions, decision.facts, decision.again_after_s) == (phase, (), {}, None)


@pytest.mark.parametrize(
    ("ttl_s", "ago_s", "actions", "again_s"),
    [
        pytest.param(60, 10, (), 50, id="it is looked at when its time is over"),
        pytest.param(60, 60, (DeleteBatch(),), None, id="then it is deleted"),
        pytest.param(0, 0, (DeleteBatch(),), None, id="at once if that is asked for"),
        pytest.param(None, 10**9, (), None, id="never, by default"),
    ],
)
def test_a_batch_lives_for_a_while_after_its_end(
    ttl_s: int | None, ago_s: int, actions: tuple[Action, ...], again_s: float | None
) -> None:
    over = status(Phase.SUCCEEDED, completion_time=NOW - timedelta(seconds=ago_s))
    decision = decide(batch(spec(ttl_seconds_after_finished=ttl_s), status=over), NOW)
    assert (decision.actions, decision.again_after_s) == (actions, again_s)
