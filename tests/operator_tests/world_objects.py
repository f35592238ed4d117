"""Bodies of Kubernetes objects, from the little that the simulated cluster remembers of them."""

from dataclasses import dataclass, field

import orjson

from llmbatch_contract.pods import LastWords, Stage
from llmbatch_contract.reports import Grant
from llmbatch_operator.facts import CONTAINER, INDEX_LABEL, Body

NAMESPACE = "team-a"
_STARTED = "2026-11-22T00:00:00Z"


def copied(body: Body) -> Body:
    """A copy that shares nothing."""
    copy: Body = orjson.loads(orjson.dumps(body))
    return copy


@dataclass
class WorldPod:
    """A pod."""

    uid: str
    name: str
    stage: Stage
    index: int
    job: Body = field(repr=False)
    phase: str = "Pending"
    is_deleting: bool = False
    exit_code: int | None = None
    words: LastWords | None = None
    is_counted: bool = False
    """The Job controller has seen its end."""
    attempt: int = 0
    is_paused: bool = True
    """Pods send nothing before they have a grant."""
    grant: Grant = Grant()
    asks: str = ""
    """The URL that it was told at its start."""

    @property
    def key(self) -> str:
        """Name of the Secret whose key it has; empty for none."""
        env = self.job["spec"]["template"]["spec"]["containers"][0]["env"]
        secrets = [v["valueFrom"]["secretKeyRef"] for v in env if "secretKeyRef" in v.get("valueFrom", {})]
        return next((s["name"] for s in secrets if not s.get("optional")), "")

    @property
    def is_over(self) -> bool:
        """It has ended."""
        return self.phase in ("Succeeded", "Failed")

    def end(self, exit_code: int, words: LastWords | None = None) -> None:
        """The container ends."""
        self.phase = "Failed" if exit_code else "Succeeded"
        self.exit_code, self.words = exit_code, words


def pod_body(pod: WorldPod) -> Body:
    """A pod as a watch delivers it."""
    owner = {"kind": "Job", "uid": pod.job["metadata"]["uid"], "controller": True}
    metadata: Body = {
        "name": pod.name,
        "namespace": NAMESPACE,
        "uid": pod.uid,
        "labels": copied(pod.job["spec"]["template"]["metadata"]["labels"]),
        "annotations": {INDEX_LABEL: str(pod.index)},
        "ownerReferences": [owner],
    }
    if pod.is_deleting:
        metadata["deletionTimestamp"] = "2026-11-22T00:00:00Z"
    status: Body = {"phase": pod.phase}
    if pod.phase != "Pending":
        status["containerStatuses"] = [{"name": CONTAINER, "state": _state(pod)}]
    return {"metadata": metadata, "status": status}


def _state(pod: WorldPod) -> Body:
    if pod.exit_code is None:
        return {"running": {"startedAt": _STARTED}}
    message = pod.words.cut().decode() if pod.words is not None else ""
    reason = "Completed" if pod.exit_code == 0 else "Error"
    ended = {"exitCode": pod.exit_code, "reason": reason, "message": message, "startedAt": _STARTED}
    return {"terminated": ended}


def job_conditions(body: Body) -> set[str]:
    """Types of the conditions that are True."""
    return {c["type"] for c in body["status"].get("conditions", []) if c["status"] == "True"}


def is_finished(body: Body) -> bool:
    """Whether the Job controller has done with it."""
    return bool(job_conditions(body) & {"Complete", "Failed"})


def finish(body: Body, type_: str, reason: str = "", message: str = "") -> None:
    """Set the Job's last condition."""
    condition = {"type": type_, "status": "True", "reason": reason, "message": message}
    body["status"].setdefault("conditions", []).append(condition)
