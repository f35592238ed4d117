"""The objects that the operator makes for a batch: ConfigMap, Secret, Jobs. Pure: from a batch to dictionaries.

Pods run under the restricted Pod Security Standard, without a service account token for the API server; the one they
have is for the coordinator only.
"""

import base64
import gzip
from typing import Any

from llmbatch_contract.exits import Exit
from llmbatch_contract.job import Job
from llmbatch_contract.pods import CONFIG_FOLDER, CONFIG_NAME, LAST_WORDS_PATH, PodConfig, Stage
from llmbatch_contract.spec import API_VERSION, KIND, LLMBatch
from llmbatch_contract.trace import BatchTrace
from llmbatch_contract.wire import BATCH_LABEL, RESULTS_KEY, object_name, results_secret
from llmbatch_operator.endpoint_marks import mark_of
from llmbatch_operator.facts import CONTAINER, LETTERS_ANNOTATION, STAGE_LABEL, UID_LABEL, BatchRef, Body
from llmbatch_operator.observed import CreateJob
from llmbatch_operator.places import Letters, output_uri, store_uri
from llmbatch_operator.pod_environment import pod_environment
from llmbatch_operator.pod_volumes import Mounted, pod_volumes
from llmbatch_operator.settings import Settings

_USER = 65532
_GRACE_S = 30
_RETRIES = 6
_KEPT_S = 86400
"""Jobs and their pods, with their logs, stay for a day after their end."""
_CLEANING = {"backoffLimit": 3, "activeDeadlineSeconds": 600, "ttlSecondsAfterFinished": 300}
"""Of the Job that belongs to nobody, as its batch is gone."""
_NAMES = {
    Stage.PLAN: "plan",
    Stage.CANARY: "canary",
    Stage.SHARD: "shards",
    Stage.FINALIZE: "finalize",
    Stage.RUN: "run",
    Stage.CLEAN: "clean",
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


def config_map(
    ref: BatchRef, batch: LLMBatch, settings: Settings, ca: str, trace: BatchTrace, letters: Letters | None = None
) -> Body:
    """What every pod of the batch is told."""
    return _config_map(_metadata(ref, config_name(ref)), _config(ref, batch, settings, ca, trace, letters))


def cleaning_config_map(
    ref: BatchRef, batch: LLMBatch, settings: Settings, ca: str, trace: BatchTrace, job_uid: str
) -> Body:
    """The same for the pod that removes what a deleted batch has left; it goes with that pod's Job."""
    name = job_name(ref, Stage.CLEAN)
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": job_uid}
    metadata = {"name": name, "namespace": ref.namespace, "labels": _labels(ref), "ownerReferences": [owner]}
    return _config_map(metadata, _config(ref, batch, settings, ca, trace, None))


def _config(
    ref: BatchRef, batch: LLMBatch, settings: Settings, ca: str, trace: BatchTrace, letters: Letters | None
) -> PodConfig:
    output = batch.spec.output
    return PodConfig(
        uid=ref.uid,
        job=Job(batch=batch, store_uri=store_uri(output, ref.uid), output_uri=output_uri(output)),
        trace=trace,
        workers=batch.spec.parallelism,
        coordinator_url=settings.coordinator_url,
        coordinator_ca=ca,
        dead_letters=letters.place if letters is not None else None,
        telemetry_ca=settings.telemetry.certificate,
    )


def _config_map(metadata: Body, config: PodConfig) -> Body:
    packed = base64.b64encode(gzip.compress(config.dump_json(), mtime=0)).decode()
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "binaryData": {CONFIG_NAME: packed}}


def results_key_secret(ref: BatchRef, key: str) -> Body:
    """The key that lets those who may read the batch's Secrets read its results."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(ref, results_secret(ref.name, ref.uid)),
        "type": "Opaque",
        "stringData": {RESULTS_KEY: key},
    }


def job(ref: BatchRef, batch: LLMBatch, create: CreateJob, settings: Settings, letters: Letters | None = None) -> Body:
    """The Job of a stage. `letters` are the dead letters that the batch asks about again."""
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
            "spec": _pod_spec(ref, batch, create, settings, letters),
        },
        **_limits(create),
    }
    metadata = _metadata(ref, job_name(ref, stage))
    metadata |= {"labels": labels, "annotations": _marks(batch, stage, letters)}
    if stage is Stage.CLEAN:
        del metadata["ownerReferences"]
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _limits(create: CreateJob) -> dict[str, int]:
    """How often its pods may fail."""
    if create.stage is Stage.CLEAN:
        return _CLEANING
    if create.stage is Stage.SHARD:
        return {"backoffLimitPerIndex": _RETRIES}
    return {"backoffLimit": 2 if create.stop is not None else _RETRIES}


def _marks(batch: LLMBatch, stage: Stage, letters: Letters | None) -> dict[str, str]:
    """What tells later whether its pods have to be replaced."""
    if stage is Stage.PLAN:
        return {} if letters is None else {LETTERS_ANNOTATION: letters.mark}
    return {} if stage in (Stage.FINALIZE, Stage.CLEAN) else mark_of(batch.spec.endpoint).annotations


def _failure_rules() -> list[Body]:
    """What is nobody's fault counts for nothing; what will be the same next time is not tried again."""
    return [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "Ignore", "onExitCodes": _codes(Exit.INTERRUPTED, _SIGTERM)},
        {"action": "FailJob", "onExitCodes": _codes(*_NEVER_RETRIED)},
    ]


def _codes(*codes: int) -> Body:
    return {"containerName": CONTAINER, "operator": "In", "values": sorted(int(code) for code in codes)}


def _pod_spec(ref: BatchRef, batch: LLMBatch, create: CreateJob, settings: Settings, letters: Letters | None) -> Body:
    worker = batch.spec.worker
    config = job_name(ref, Stage.CLEAN) if create.stage is Stage.CLEAN else config_name(ref)
    mounted = pod_volumes(batch, create.stage, config, letters)
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
            "fsGroupChangePolicy": "OnRootMismatch",  # else every pod would go through all files of a volume
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(batch, create, settings, mounted)],
        "volumes": [each.volume for each in mounted],
    }
    optional = {
        "serviceAccountName": worker.service_account_name,
        "nodeSelector": {} if _ends_early(create) else worker.node_selector,
        "tolerations": worker.tolerations,
        "imagePullSecrets": [{"name": name} for name in worker.image_pull_secrets],
    }
    return spec | {name: value for name, value in optional.items() if value}


def _container(batch: LLMBatch, create: CreateJob, settings: Settings, mounted: list[Mounted]) -> Body:
    worker, stage = batch.spec.worker, create.stage
    own = worker.resources is not None and not _ends_early(create)
    resources = worker.resources.dump() if own and worker.resources is not None else _DEFAULT_RESOURCES
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
        "volumeMounts": [mount for each in mounted for mount in each.mounts],
    }


def _ends_early(create: CreateJob) -> bool:
    """A batch whose pods could not work, for their image, node or memory, shall come to its end all the same."""
    return create.stop is not None or create.stage is Stage.CLEAN


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
