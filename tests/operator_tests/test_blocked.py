"""What is in a batch's way that somebody else has to put right, and that it is said only while it is so."""

import pytest

from llmbatch_contract.status import ConditionType, Phase, Reason
from llmbatch_operator.blocked import what_blocks
from llmbatch_operator.decide import decide
from llmbatch_operator.facts import PodFacts, Waiting
from llmbatch_operator.observed import Observed, Talk
from operator_tests.operator_builders import (
    FINALIZE,
    NOW,
    PLAN,
    RUN,
    SHARD,
    batch,
    condition,
    failed_pod,
    job,
    pod,
    status,
)

_NO_SECRET = Waiting("CreateContainerConfigError", 'secret "openai" not found')
_NO_IMAGE = Waiting("ImagePullBackOff", "Back-off pulling image")
_STARTING = Waiting("ContainerCreating", "")
_NO_ROOM = "0/3 nodes are available: 3 Insufficient cpu."


def _waiting(waiting: Waiting | None = None, **facts: object) -> PodFacts:
    return pod(SHARD, "Pending", waiting=waiting, **facts)


def _killed(name: str) -> PodFacts:
    return pod(SHARD, "Failed", name=name, ended_by="OOMKilled, exit code 137")


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(batch(jobs=[job(SHARD)], pods=[_killed("shards-0"), _waiting()]), id="it is replaced"),
        pytest.param(
            batch(jobs=[job(SHARD, succeeded=1)], pods=[_killed("shards-0"), _killed("shards-1")]), id="others succeed"
        ),
        pytest.param(
            batch(jobs=[job(SHARD)], pods=[_killed("shards-0"), _killed("shards-1"), pod(SHARD, name="shards-2")]),
            id="another works",
        ),
    ],
)
def test_a_pod_that_has_failed_now_and_then_blocks_nothing(seen: Observed) -> None:
    assert what_blocks(seen, NOW) is None


@pytest.mark.parametrize(
    ("seen", "reason", "message"),
    [
        pytest.param(
            batch(problems="spec.model: is required"),
            Reason.INVALID_SPEC,
            "spec.model: is required; running pods go on as they were, correct it to change them",
            id="the spec was spoilt",
        ),
        pytest.param(
            batch(talk=Talk(store_full="9 GiB are used up")), Reason.STORE_FULL, "9 GiB are used up", id="a full store"
        ),
        pytest.param(
            batch(pods=[_waiting(_NO_SECRET)]),
            Reason.SECRET_MISSING,
            'secret "openai" not found; create it in namespace team-a, the batch goes on by itself',
            id="no Secret",
        ),
        pytest.param(
            batch(pods=[_waiting(_NO_IMAGE)]), Reason.IMAGE_PULL_FAILED, "Back-off pulling image", id="no image"
        ),
        pytest.param(
            batch(pods=[_waiting(Waiting("InvalidImageName", ""))]),
            Reason.IMAGE_PULL_FAILED,
            "InvalidImageName",
            id="a reason without a message",
        ),
        pytest.param(
            batch(pods=[_waiting(unschedulable=_NO_ROOM)]), Reason.UNSCHEDULABLE, _NO_ROOM, id="no room on any node"
        ),
        *(
            pytest.param(
                batch(jobs=[job(stage, active=0)], pods=[failed_pod(stage, "InputMissingError", "no such ConfigMap")]),
                Reason.INPUT_MISSING,
                "no such ConfigMap; the batch goes on by itself when it is there",
                id=f"no input, says the {stage} pod",
            )
            for stage in (PLAN, RUN, FINALIZE)
        ),
        pytest.param(
            batch(jobs=[job(SHARD)], pods=[_killed("shards-0"), _killed("shards-1"), _waiting()]),
            Reason.PODS_FAIL,
            "2 pods have failed, Kubernetes tries again; the last: OOMKilled, exit code 137",
            id="pods that die at once",
        ),
    ],
)
def test_the_reason_says_what_to_put_right(seen: Observed, reason: Reason, message: str) -> None:
    fact = what_blocks(seen, NOW)
    assert fact is not None
    assert (fact.holds, fact.reason, fact.message) == (True, reason, message)


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(batch(), id="nothing runs yet"),
        pytest.param(batch(pods=[_waiting(_STARTING)]), id="a pod that starts"),
        pytest.param(batch(pods=[_waiting(_NO_SECRET), pod(SHARD, name="b")]), id="another pod works"),
        pytest.param(batch(pods=[_waiting(_NO_IMAGE, is_deleting=True)]), id="the pod is going"),
        pytest.param(
            batch(pods=[_waiting(unschedulable=_NO_ROOM), _waiting(_STARTING, name="b")]), id="one pod found a node"
        ),
        pytest.param(batch(pods=[pod(SHARD, "Failed", waiting=_NO_IMAGE)]), id="the pod has ended"),
        pytest.param(
            batch(jobs=[job(PLAN)], pods=[failed_pod(PLAN, "StoreError", "the store broke")]), id="another error"
        ),
        pytest.param(
            batch(
                jobs=[job(PLAN, failure="BackoffLimitExceeded: ")],
                pods=[failed_pod(PLAN, "InputMissingError", "no such ConfigMap")],
            ),
            id="nobody tries again: that is no block but the end",
        ),
    ],
)
def test_nothing_is_in_the_way(seen: Observed) -> None:
    assert what_blocks(seen, NOW) is None


def test_what_keeps_all_pods_from_starting_comes_before_what_keeps_one() -> None:
    seen = batch(pods=[_waiting(unschedulable=_NO_ROOM), _waiting(_NO_SECRET, name="b")])
    fact = what_blocks(seen, NOW)
    assert fact is not None
    assert fact.reason is Reason.SECRET_MISSING


def test_it_is_told_when_nothing_is_in_the_way_any_more_and_only_then() -> None:
    blocked = status(Phase.RUNNING, condition(ConditionType.BLOCKED, Reason.SECRET_MISSING))
    fact = decide(batch(jobs=[job(PLAN)], status=blocked), NOW).facts[ConditionType.BLOCKED]
    assert (fact.holds, fact.reason) == (False, Reason.NOT_BLOCKED)
    assert ConditionType.BLOCKED not in decide(batch(jobs=[job(PLAN)], status=status(Phase.RUNNING)), NOW).facts


_DENIED = "the secret key does not fit"


def _trying_again(started_s_ago: float) -> Observed:
    """One pod was refused by the store; the next one has started."""
    blocked = status(Phase.PLANNING, condition(ConditionType.BLOCKED, Reason.STORE_DENIED))
    again = pod(PLAN, name="plan-1", started_at=NOW.timestamp() - started_s_ago)
    return batch(jobs=[job(PLAN)], pods=[failed_pod(PLAN, "StoreDeniedError", _DENIED), again], status=blocked)


def test_a_new_try_is_no_success_until_it_gets_further_than_the_one_before() -> None:
    fact = decide(_trying_again(started_s_ago=2), NOW).facts[ConditionType.BLOCKED]
    assert (fact.holds, fact.reason) == (True, Reason.STORE_DENIED)
    assert decide(_trying_again(started_s_ago=2), NOW).again_after_s == pytest.approx(28)
    assert not decide(_trying_again(started_s_ago=31), NOW).facts[ConditionType.BLOCKED].holds


def test_a_pod_that_has_succeeded_ends_the_block_before_its_job_counts_it() -> None:
    pods = [failed_pod(PLAN, "StoreDeniedError", _DENIED), pod(PLAN, "Succeeded", name="plan-1")]
    assert what_blocks(batch(jobs=[job(PLAN)], pods=pods), NOW) is None
