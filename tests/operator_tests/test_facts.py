"""What is read from Jobs and pods."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_contract.pods import LastWords, PodError
from llmbatch_contract.wire import BATCH_LABEL
from llmbatch_operator.facts import (
    STAGE_LABEL,
    UID_LABEL,
    Body,
    Waiting,
    count_indexes,
    read_job,
    read_pod,
)
from operator_tests.kube_bodies import job_body, pod_body, terminated
from operator_tests.operator_builders import PLAN, PLANNED, REF, SHARD

_WORDS = LastWords(stage=PLAN, plan=PLANNED)
_DISRUPTED = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
_NO_NODE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}

_INDEX = "batch.kubernetes.io/job-completion-index"
_OF_JOB = {
    BATCH_LABEL: REF.name,
    UID_LABEL: REF.uid,
    STAGE_LABEL: "shard",
    "batch.kubernetes.io/job-name": "triage-shards",
    _INDEX: "17",
}
_AT = 1795348800.0
_KILLED = {"exitCode": 137, "startedAt": "2026-11-22T12:00:01Z", "finishedAt": "2026-11-22T12:00:09Z"}


def _condition(type_: str, status: str = "True", **more: str) -> Body:
    return {"type": type_, "status": status, **more}


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        pytest.param(
            job_body(SHARD, {"active": 3, "succeeded": 1, "ready": 3}),
            {
                "active": 3,
                "succeeded": 1,
                "parallelism": 4,
                "completions": 4,
                "is_finished": False,
                "is_at_rest": False,
            },
            id="at work",
        ),
        pytest.param(job_body(SHARD), {"active": 0, "is_at_rest": False}, id="just created: pods are about to come"),
        pytest.param(job_body(SHARD, suspend=True), {"is_suspended": True, "is_at_rest": True}, id="created suspended"),
        pytest.param(
            job_body(SHARD, {"active": 0, "terminating": 2, "conditions": [_condition("Suspended")]}, suspend=True),
            {"active": 2, "is_suspended": True, "is_at_rest": False},
            id="suspended: pods are still ending",
        ),
        pytest.param(
            job_body(PLAN, {"succeeded": 1, "conditions": [_condition("SuccessCriteriaMet"), _condition("Complete")]}),
            {"is_complete": True, "is_finished": True, "is_at_rest": True, "failure": None},
            id="complete",
        ),
        pytest.param(
            job_body(
                SHARD,
                {
                    "failedIndexes": "0,2-3",
                    "conditions": [_condition("Failed", reason="FailedIndexes", message="Job has failed indexes")],
                },
            ),
            {"failed_indexes": 3, "failure": "FailedIndexes: Job has failed indexes", "is_finished": True},
            id="failed",
        ),
        pytest.param(
            job_body(SHARD, {"active": 1, "conditions": [_condition("FailureTarget")]}),
            {"failure": None, "is_finished": False},
            id="about to fail: pods are still ending",
        ),
        pytest.param(
            job_body(SHARD, {"conditions": [_condition("Complete", "False"), _condition("Failed", "False")]}),
            {"is_complete": False, "failure": None},
            id="conditions that do not hold",
        ),
    ],
)
def test_facts_of_a_job(body: Body, facts: dict[str, Any]) -> None:
    job = read_job(body)
    assert job is not None
    assert (job.stage, job.batch_uid) == (body["metadata"]["labels"][STAGE_LABEL], REF.uid)
    assert {name: getattr(job, name) for name in facts} == facts


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        pytest.param(pod_body(SHARD), {"phase": "Running", "is_over": False, "job_uid": "job-shard"}, id="at work"),
        pytest.param(
            pod_body(SHARD, deletionTimestamp="2026-11-22T12:00:00Z"),
            {"is_deleting": True, "is_over": False},
            id="ending",
        ),
        pytest.param(
            pod_body(PLAN, "Succeeded", state=terminated(0, words=_WORDS)),
            {"is_over": True, "last_words": _WORDS, "ended_by": "Completed, exit code 0"},
            id="ended, with last words",
        ),
        pytest.param(
            pod_body(SHARD, "Failed", state=terminated(137, "OOMKilled")),
            {"is_over": True, "last_words": None, "ended_by": "OOMKilled, exit code 137"},
            id="out of memory, without a word",
        ),
        pytest.param(
            pod_body(SHARD, "Failed", conditions=[_DISRUPTED], state=terminated(130)),
            {"is_over": True, "ended_by": "Error, exit code 130"},
            id="evicted from its node",
        ),
        pytest.param(
            pod_body(SHARD, "Failed", conditions=[_DISRUPTED]),
            {"is_over": True, "ended_by": None},
            id="its node was lost",
        ),
        pytest.param(
            pod_body(SHARD, "Failed") | {"status": {"phase": "Failed", "reason": "Evicted"}},
            {"is_over": True, "has_stopped": False, "ended_by": "Evicted", "may_ask": False, "is_silent_end": False},
            id="evicted before it began",
        ),
        pytest.param(
            pod_body(SHARD, state={"running": {"startedAt": "2026-11-22T12:00:01Z"}}, labels=_OF_JOB)
            | {"spec": {"nodeName": "node-1"}},
            {"started_at": _AT + 1, "ended_at": None, "node": "node-1", "index": 17, "may_ask": True},
            id="at work, on a node",
        ),
        pytest.param(
            pod_body(SHARD, "Failed", state={"terminated": _KILLED}, annotations={_INDEX: "18"}, labels=_OF_JOB),
            {"started_at": _AT + 1, "ended_at": _AT + 9, "index": 18, "is_silent_end": True, "may_ask": False},
            id="killed at work",
        ),
        pytest.param(
            pod_body(SHARD, "Failed", state={"running": {"startedAt": "2026-11-22T12:00:01Z"}}),
            {"is_over": True, "has_stopped": False, "may_ask": True},
            id="given up with its node, where it may still run",
        ),
        pytest.param(
            pod_body(SHARD, "Pending", state={"waiting": {"reason": "ContainerCreating"}})
            | {"spec": {"nodeName": "n"}},
            {"may_ask": True},
            id="about to start on its node",
        ),
        pytest.param(pod_body(SHARD, "Pending"), {"may_ask": False}, id="without a node"),
        pytest.param(
            pod_body(PLAN, state={"running": {"startedAt": "2026-11-22T12:00:01Z"}}),
            {"may_ask": False},
            id="a planner asks no endpoint",
        ),
        pytest.param(pod_body(SHARD, annotations={_INDEX: "x"}), {"index": 0, "node": None}, id="a strange index"),
        pytest.param(
            pod_body(
                SHARD,
                "Pending",
                state={"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "openai" not found'}},
            ),
            {"waiting": Waiting("CreateContainerConfigError", 'secret "openai" not found')},
            id="without its Secret",
        ),
        pytest.param(
            pod_body(SHARD, "Pending", state={"waiting": {"reason": "ContainerCreating"}}),
            {"waiting": Waiting("ContainerCreating", "")},
            id="starting",
        ),
        pytest.param(
            pod_body(SHARD, "Pending", conditions=[_NO_NODE]),
            {"unschedulable": "0/1 nodes are available"},
            id="without a node",
        ),
        pytest.param(pod_body(SHARD, state={}), {"waiting": None, "last_words": None}, id="a state that is not known"),
    ],
)
def test_facts_of_a_pod(body: Body, facts: dict[str, Any]) -> None:
    pod = read_pod(body)
    assert pod is not None
    assert {name: getattr(pod, name) for name in facts} == facts


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"])
def test_reasons_that_are_about_the_image(reason: str) -> None:
    assert Waiting(reason, "").is_about_image
    assert not Waiting("CrashLoopBackOff", "").is_about_image


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("", id="none"),
        pytest.param("Killed", id="no JSON"),
        pytest.param('{"stage":"plan","plan":{"items":1', id="cut off"),
        pytest.param('{"stage":"plan","sinceVersion2":1}', id="of another version"),
    ],
)
def test_last_words_that_cannot_be_understood_are_none(message: str) -> None:
    ended = {"terminated": {"exitCode": 1, "message": message}}
    pod = read_pod(pod_body(PLAN, "Failed", state=ended))
    assert pod is not None
    assert pod.last_words is None
    assert pod.ended_by == "Error, exit code 1"


def test_last_words_survive_the_cut_of_kubernetes() -> None:
    long = LastWords(stage=PLAN, plan=PLANNED, error=PodError(kind="InputError", message="x" * 10_000))
    pod = read_pod(pod_body(PLAN, "Failed", state=terminated(2, words=long)))
    assert pod is not None
    assert pod.last_words is not None
    assert pod.last_words.plan == PLANNED


def test_the_state_of_other_containers_does_not_matter() -> None:
    body = pod_body(PLAN)
    body["status"]["containerStatuses"] = [{"name": "mesh", "state": terminated(0, words=_WORDS)}]
    pod = read_pod(body)
    assert pod is not None
    assert (pod.last_words, pod.ended_by) == (None, None)


@pytest.mark.parametrize("missing", [STAGE_LABEL, "owner", "controller", "kind"])
@pytest.mark.parametrize("read", [read_job, read_pod])
def test_what_is_not_ours_is_passed_over(read: Any, missing: str) -> None:
    body = copy.deepcopy(job_body(SHARD) if read is read_job else pod_body(SHARD))
    owner = body["metadata"]["ownerReferences"][0]
    match missing:
        case "owner":
            del body["metadata"]["ownerReferences"]
        case "controller":
            del owner["controller"]
        case "kind":
            owner["kind"] = "ReplicaSet"
        case _:
            body["metadata"]["labels"][missing] = "nothing we know"
    assert read(body) is None


@pytest.mark.parametrize("labels", [None, {}, {BATCH_LABEL: "triage"}, {UID_LABEL: REF.uid}])
def test_pods_without_our_labels_are_passed_over(labels: dict[str, str] | None) -> None:
    body = pod_body(SHARD)
    body["metadata"]["labels"] = labels
    assert read_pod(body) is None


@given(st.sets(st.integers(0, 300)))
def test_indexes_are_counted_as_kubernetes_writes_them(indexes: set[int]) -> None:
    assert count_indexes(_as_ranges(sorted(indexes))) == len(indexes)


def _as_ranges(indexes: list[int]) -> str:
    runs: list[list[int]] = []
    for index in indexes:
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return ",".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)
