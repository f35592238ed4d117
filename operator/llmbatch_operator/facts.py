"""What the operator remembers of Jobs and pods: a few facts each, read once from what a watch delivers. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pydantic

from llmbatch_contract.pods import LastWords, Stage
from llmbatch_contract.trace import TRACEPARENT, BatchTrace, is_trace_id, trace_of
from llmbatch_operator.endpoint_marks import Mark

Body = dict[str, Any]

UID_LABEL = "llmbatch.dev/batch-uid"
STAGE_LABEL = "llmbatch.dev/stage"
LETTERS_ANNOTATION = "llmbatch.dev/dead-letters"
"""On a Job that plans: which place its pods can read the dead letters of another batch from."""
CONTAINER = "worker"
JOB_LABEL = "batch.kubernetes.io/job-name"
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
"""Set by Kubernetes on the pods of a Job; the index as an annotation, too."""

_STAGES = {stage.value: stage for stage in Stage}
_ASKING = frozenset(Stage) - {Stage.PLAN, Stage.FINALIZE, Stage.CLEAN}
_STARTING = ("ContainerCreating", "PodInitializing")
_IMAGE_REASONS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")


@dataclass(frozen=True)
class BatchRef:
    """Which LLMBatch."""

    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class JobFacts:
    """A Job of a batch."""

    name: str
    uid: str
    stage: Stage
    batch_uid: str
    parallelism: int
    completions: int
    is_suspended: bool
    active: int
    """Pods that run, are about to, or are ending."""
    succeeded: int
    failed_indexes: int
    is_complete: bool = False
    failure: str | None = None
    """Why Kubernetes gave the Job up."""
    is_deleting: bool = False
    mark: Mark | None = None
    """Which endpoint its pods ask; None: it is not known."""
    letters_mark: str = ""
    """Which other batch's dead letters its pods can read outside the built-in store; empty for none."""

    @property
    def is_finished(self) -> bool:
        """Whether Kubernetes will start no more pods of it."""
        return self.is_complete or self.failure is not None

    @property
    def is_at_rest(self) -> bool:
        """No pod of it runs or is about to."""
        return self.active == 0 and (self.is_suspended or self.is_finished)


@dataclass(frozen=True)
class Waiting:
    """Why a container does not start."""

    reason: str
    message: str

    @property
    def is_about_image(self) -> bool:
        """The image cannot be had."""
        return self.reason in _IMAGE_REASONS


@dataclass(frozen=True)
class PodFacts:
    """A pod of a batch."""

    name: str
    uid: str
    stage: Stage
    batch_uid: str
    job_uid: str
    phase: str
    is_deleting: bool = False
    waiting: Waiting | None = None
    unschedulable: str | None = None
    last_words: LastWords | None = None
    ended_by: str | None = None
    """Reason of the container's end, as OOMKilled or Error, with its exit code; else the pod's, as Evicted."""
    index: int = 0
    """Which pod of its Job: for shards, their number."""
    job_name: str = ""
    node: str | None = None
    started_at: float | None = None
    """Unix time at which the container started; None: it never did."""
    ended_at: float | None = None
    has_stopped: bool = False
    """Its container has ended, so it runs nowhere. One that is over may still run: on a node that cannot be reached."""

    @property
    def is_over(self) -> bool:
        """It has ended, or Kubernetes has given it up."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def may_ask(self) -> bool:
        """It asks the endpoint, as far as the API server knows: it has started, or is about to on its node."""
        return self.stage in _ASKING and not self.has_stopped and (self.started_at is not None or self._is_starting)

    @property
    def _is_starting(self) -> bool:
        is_under_way = self.waiting is None or self.waiting.reason in _STARTING
        return self.phase == "Pending" and self.node is not None and is_under_way

    @property
    def is_silent_end(self) -> bool:
        """It has begun and failed, and has not said how."""
        return self.phase == "Failed" and self.last_words is None and self.started_at is not None


def read_job(body: Body) -> JobFacts | None:
    """The facts of a Job; None if it is none of ours."""
    labels, owner = _labels_and_owner(body, "LLMBatch")
    stage = _STAGES.get(labels.get(STAGE_LABEL, ""))
    if stage is None or owner is None:
        return None
    metadata, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or [] if c["status"] == "True"}
    failed = conditions.get("Failed")
    return JobFacts(
        name=metadata["name"],
        uid=metadata["uid"],
        stage=stage,
        batch_uid=owner,
        parallelism=spec.get("parallelism", 1),
        completions=spec.get("completions", 1),
        is_suspended=bool(spec.get("suspend")),
        active=status.get("active", 0) + status.get("terminating", 0),
        succeeded=status.get("succeeded", 0),
        failed_indexes=count_indexes(status.get("failedIndexes", "")),
        is_complete="Complete" in conditions,
        failure=None if failed is None else f"{failed.get('reason', '')}: {failed.get('message', '')}",
        is_deleting="deletionTimestamp" in metadata,
        mark=Mark.read(metadata.get("annotations") or {}),
        letters_mark=(metadata.get("annotations") or {}).get(LETTERS_ANNOTATION, ""),
    )


def read_pod(body: Body) -> PodFacts | None:
    """The facts of a pod; None if it is none of ours."""
    labels, job_uid = _labels_and_owner(body, "Job")
    stage, batch_uid = _STAGES.get(labels.get(STAGE_LABEL, "")), labels.get(UID_LABEL)
    if stage is None or job_uid is None or batch_uid is None:
        return None
    metadata, status = body["metadata"], body.get("status") or {}
    states = [c for c in status.get("containerStatuses") or [] if c["name"] == CONTAINER]
    state = states[0].get("state") or {} if states else {}
    waiting, ended = state.get("waiting"), state.get("terminated")
    ran = ended or state.get("running") or {}
    return PodFacts(
        name=metadata["name"],
        uid=metadata["uid"],
        stage=stage,
        batch_uid=batch_uid,
        job_uid=job_uid,
        phase=status.get("phase", "Pending"),
        is_deleting="deletionTimestamp" in metadata,
        waiting=None if waiting is None else Waiting(waiting.get("reason", ""), waiting.get("message", "")),
        unschedulable=_unschedulable(status),
        last_words=None if ended is None else _last_words(ended.get("message")),
        ended_by=status.get("reason") if ended is None else _end_of(ended),
        index=_index(metadata),
        job_name=labels.get(JOB_LABEL, ""),
        node=body.get("spec", {}).get("nodeName"),
        started_at=unix_time(ran.get("startedAt")),
        ended_at=unix_time(ran.get("finishedAt")),
        has_stopped=ended is not None,
    )


def read_trace(body: Body) -> BatchTrace:
    """The trace of a batch. The one that its status names stays, whatever becomes of the annotation."""
    metadata, known = body["metadata"], (body.get("status") or {}).get("traceId")
    known = known if is_trace_id(known) else None
    asked = trace_of(metadata["uid"], (metadata.get("annotations") or {}).get(TRACEPARENT))
    return (
        asked if known in (None, asked.trace_id) else trace_of(metadata["uid"]).model_copy(update={"trace_id": known})
    )


def endpoint_name(body: Body) -> str | None:
    """The LLMEndpoint that a batch refers to, whether or not its spec is valid."""
    endpoint = (body.get("spec") or {}).get("endpoint")
    name = endpoint.get("ref") if isinstance(endpoint, dict) else None
    return name if isinstance(name, str) else None


def unix_time(text: str | None) -> float | None:
    """A time as Kubernetes writes it."""
    return datetime.fromisoformat(text).timestamp() if text else None


def count_indexes(text: str) -> int:
    """How many indexes a Job's `0,2-5` names."""
    count = 0
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    return count


def _labels_and_owner(body: Body, kind: str) -> tuple[dict[str, str], str | None]:
    metadata = body["metadata"]
    owners = [o["uid"] for o in metadata.get("ownerReferences") or [] if o.get("controller") and o["kind"] == kind]
    return metadata.get("labels") or {}, owners[0] if owners else None


def _index(metadata: Body) -> int:
    places = (metadata.get("annotations") or {}, metadata.get("labels") or {})
    texts = [place[INDEX_LABEL] for place in places if INDEX_LABEL in place]
    return int(texts[0]) if texts and texts[0].isdecimal() else 0


def _end_of(ended: Body) -> str:
    return f"{ended.get('reason', 'Error')}, exit code {ended.get('exitCode')}"


def _unschedulable(status: Body) -> str | None:
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message") or condition.get("reason") or "unschedulable")
    return None


def _last_words(message: str | None) -> LastWords | None:
    try:
        return LastWords.load(message.encode()) if message else None
    except pydantic.ValidationError:
        return None
