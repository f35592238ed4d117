"""Jobs, pods and batches as an API server writes them, but for the fields that nobody here reads."""

from typing import Any

import builders
from llmbatch_contract.pods import LastWords, Stage
from llmbatch_contract.wire import BATCH_LABEL
from llmbatch_operator.facts import CONTAINER, STAGE_LABEL, UID_LABEL, Body
from operator_tests.operator_builders import CONFIG_MAP, REF


def batch_body(generation: int = 1, status: Body | None = None, **fields: Any) -> Body:
    """The batch REF."""
    body = builders.manifest(REF.name, **{"input": CONFIG_MAP, **fields})
    body["metadata"] |= {"namespace": REF.namespace, "uid": REF.uid, "generation": generation, "resourceVersion": "7"}
    return body | ({} if status is None else {"status": status})


def job_body(stage: Stage, status: Body | None = None, **spec: Any) -> Body:
    """A Job of the batch REF."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"triage-3f2a1c00-{stage}",
            "namespace": REF.namespace,
            "uid": f"job-{stage}",
            "labels": _labels(stage),
            "ownerReferences": [_owner("llmbatch.dev/v1alpha1", "LLMBatch", REF.name, REF.uid)],
        },
        "spec": {"parallelism": 4, "completions": 4, "suspend": False, **spec},
        "status": status or {},
    }


def pod_body(
    stage: Stage,
    phase: str = "Running",
    *,
    name: str = "",
    job: str = "",
    state: Body | None = None,
    conditions: list[Body] | None = None,
    **metadata: Any,
) -> Body:
    """A pod of that Job; `state` is that of its container."""
    name = name or f"triage-3f2a1c00-{stage}-0-x7k2p"
    status: Body = {"phase": phase, "conditions": conditions or []}
    if state is not None:
        status["containerStatuses"] = [{"name": CONTAINER, "ready": False, "restartCount": 0, "state": state}]
    owner = _owner("batch/v1", "Job", f"triage-3f2a1c00-{stage}", job or f"job-{stage}")
    base = {
        "name": name,
        "namespace": REF.namespace,
        "uid": f"uid-{name}",
        "labels": {**_labels(stage), "batch.kubernetes.io/job-completion-index": "0"},
        "ownerReferences": [owner],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": base | metadata, "spec": {}, "status": status}


def terminated(exit_code: int, reason: str = "", words: LastWords | None = None) -> Body:
    """A container that has ended."""
    message = {} if words is None else {"message": words.cut().decode()}
    return {
        "terminated": {"exitCode": exit_code, "reason": reason or ("Error" if exit_code else "Completed"), **message}
    }


def _labels(stage: Stage) -> dict[str, str]:
    return {BATCH_LABEL: REF.name, UID_LABEL: REF.uid, STAGE_LABEL: stage.value}


def _owner(version: str, kind: str, name: str, uid: str) -> Body:
    return {
        "apiVersion": version,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
