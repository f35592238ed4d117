"""The objects that the operator makes for a batch: ConfigMap, Secret, Jobs. Pure: from a batch to dictionaries.

Pods run under the restricted Pod Security Standard, without a service account token for the API server; the one they
have is for the coordinator only.
"""

import base64
import gzip
from typing import Any

from llmbatch_contract.exits import Exit
from llmbatch_contract.job import Job
from llmbatch_contract.pods import (
    AUDIENCE,
    CONFIG_FOLDER,
    CONFIG_NAME,
    INPUT_FOLDER,
    LAST_WORDS_PATH,
    OUTPUT_URI,
    TOKEN_FOLDER,
    TOKEN_NAME,
    WORK_URI,
    PodConfig,
    Stage,
)
from llmbatch_contract.spec import API_VERSION, KIND, LLMBatch
from llmbatch_contract.trace import BatchTrace
from llmbatch_contract.wire import BATCH_LABEL, RESULTS_KEY, object_name, results_secret
from llmbatch_operator.endpoint_marks import mark_of
from llmbatch_operator.facts import CONTAINER, STAGE_LABEL, UID_LABEL, BatchRef, Body
from llmbatch_operator.observed import CreateJob
from llmbatch_operator.pod_environment import pod_environment
from llmbatch_operator.settings import Settings

_USER = 65532
_GRACE_S = 30
_TOKEN_S = 3600
_RETRIES = 6
_KEPT_S = 86400
"""Jobs and their pods, with their logs, stay for a day after their end."""
_NAMES = {
    Stage.PLAN: "plan",
    Stage.CANARY: "canary",
    Stage.SHARD: "shards",
    Stage.FINALIZE: "finalize",
    Stage.RUN: "run",
}
_DEFAULT_RESOURCES = {
    "requests": {"cpu": "100m", "memory": "128Mi"},
    "limits": {"memory": "512Mi"},
}
_NEVER_RETRIED = (Exit.INVALID, Exit.STOPPED)
_SIGTERM = 143
"""A pod that was ended before it could listen to the signal."""


def job_name(ref: BatchRef, stage: Stage) -> str:
    """Name of a stage's Job."""
    return object_name(ref.name, ref.uid, _NAMES[stage])


def config_name(ref: BatchRef) -> str:
    """Name of the ConfigMap."""
    return object_name(ref.name, ref.uid, "config")


def config_map(ref: BatchRef, batch: LLMBatch, settings: Settings, ca: str, trace: BatchTrace) -> Body:
    """What every pod of the batch is told."""
    config = PodConfig(
        uid=ref.uid,
        job=Job(batch=batch, store_uri=WORK_URI, output_uri=OUTPUT_URI),
        trace=trace,
        workers=batch.spec.parallelism,
        coordinator_url=settings.coordinator_url,
        coordinator_ca=ca,
        telemetry_ca=settings.telemetry.certificate,
    )
    packed = base64.b64encode(gzip.compress(config.dump_json(), mtime=0)).decode()
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(ref, config_name(ref)),
        "binaryData": {CONFIG_NAME: packed},
    }


def results_key_secret(ref: BatchRef, key: str) -> Body:
    """The key that lets those who may read the batch's Secrets read its results."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(ref, results_secret(ref.name, ref.uid)),
        "type": "Opaque",
        "stringData": {RESULTS_KEY: key},
    }


def job(ref: BatchRef, batch: LLMBatch, create: CreateJob, settings: Settings) -> Body:
    """The Job of a stage."""
    stage, worker = create.stage, batch.spec.worker
    labels = {**worker.labels, **_labels(ref, stage)}
    spec: Body = {
        "parallelism": create.parallelism,
        "completions": create.shards,
        "completionMode": "Indexed",
        "ttlSecondsAfterFinished": _KEPT_S,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {"rules": _failure_rules()},
        "template": {
            "metadata": {"labels": labels, "annotations": worker.annotations},
            "spec": _pod_spec(ref, batch, create, settings),
        },
    }
    if stage is Stage.SHARD:
        spec["backoffLimitPerIndex"] = _RETRIES
    else:
        spec["backoffLimit"] = 2 if create.stop is not None else _RETRIES
    metadata = _metadata(ref, job_name(ref, stage))
    metadata["labels"] = labels
    if stage not in (Stage.PLAN, Stage.FINALIZE):
        metadata["annotations"] = mark_of(batch.spec.endpoint).annotations
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _failure_rules() -> list[Body]:
    """What is nobody's fault counts for nothing; what will be the same next time is not tried again."""
    return [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "Ignore", "onExitCodes": _codes(Exit.INTERRUPTED, _SIGTERM)},
        {"action": "FailJob", "onExitCodes": _codes(*_NEVER_RETRIED)},
    ]


def _codes(*codes: int) -> Body:
    return {"containerName": CONTAINER, "operator": "In", "values": sorted(int(code) for code in codes)}


def _pod_spec(ref: BatchRef, batch: LLMBatch, create: CreateJob, settings: Settings) -> Body:
    worker = batch.spec.worker
    spec: Body = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(batch, create, settings)],
        "volumes": _volumes(ref, batch, create.stage),
    }
    optional = {
        "serviceAccountName": worker.service_account_name,
        "nodeSelector": {} if _ends_early(create) else worker.node_selector,
        "tolerations": worker.tolerations,
        "imagePullSecrets": [{"name": name} for name in worker.image_pull_secrets],
    }
    return spec | {name: value for name, value in optional.items() if value}


def _container(batch: LLMBatch, create: CreateJob, settings: Settings) -> Body:
    worker, stage = batch.spec.worker, create.stage
    own = worker.resources is not None and not _ends_early(create)
    resources = worker.resources.dump() if own and worker.resources is not None else _DEFAULT_RESOURCES
    mounts = [
        {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
        {"name": "token", "mountPath": TOKEN_FOLDER, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    if _reads_config_map(batch, stage):
        mounts.append({"name": "input", "mountPath": INPUT_FOLDER, "readOnly": True})
    args = [stage.value, "--config", f"{CONFIG_FOLDER}/{CONFIG_NAME}"]
    if create.stop is not None:
        # Kubernetes puts variables in place of $(NAME), and what endpoints say may hold that
        args += ["--stop", create.stop.dump_json().decode().replace("$", "$$")]
    return {
        "name": CONTAINER,
        "image": settings.worker_image if _ends_early(create) else worker.image or settings.worker_image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": args,
        "env": pod_environment(batch, stage, settings.telemetry),
        "resources": resources,
        "terminationMessagePath": LAST_WORDS_PATH,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


def _volumes(ref: BatchRef, batch: LLMBatch, stage: Stage) -> list[Body]:
    token = {"audience": AUDIENCE, "expirationSeconds": _TOKEN_S, "path": TOKEN_NAME}
    volumes: list[Body] = [
        {"name": "config", "configMap": {"name": config_name(ref)}},
        {"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}},
        {"name": "tmp", "emptyDir": {}},
    ]
    source = batch.spec.input.config_map
    if source is not None and _reads_config_map(batch, stage):
        items = [{"key": source.key, "path": source.key}]
        volumes.append({"name": "input", "configMap": {"name": source.name, "optional": True, "items": items}})
    return volumes


def _ends_early(create: CreateJob) -> bool:
    """A batch whose pods could not work, for their image, node or memory, shall come to its end all the same."""
    return create.stop is not None


def _reads_config_map(batch: LLMBatch, stage: Stage) -> bool:
    return batch.spec.input.config_map is not None and stage not in (Stage.CANARY, Stage.SHARD)


def _labels(ref: BatchRef, stage: Stage | None = None) -> dict[str, str]:
    labels = {"app.kubernetes.io/managed-by": "llmbatch", BATCH_LABEL: ref.name, UID_LABEL: ref.uid}
    return labels | ({STAGE_LABEL: stage.value} if stage is not None else {})


def _metadata(ref: BatchRef, name: str) -> dict[str, Any]:
    owner = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": ref.name,
        "uid": ref.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {"name": name, "namespace": ref.namespace, "labels": _labels(ref), "ownerReferences": [owner]}
