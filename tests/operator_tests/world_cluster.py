"""A cluster in memory: an API server whose watches lag, the Job controller, and faults on demand.

As Kubernetes does it, as far as the operator can tell: podFailurePolicy, backoff limits per Job and per index, suspend,
podReplacementPolicy Failed, garbage collection of pods whose Job is gone.
"""

import base64
import gzip
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum

from llmbatch_contract.pods import CONFIG_NAME, PodConfig, Stage
from llmbatch_contract.spec import API_VERSION
from llmbatch_operator.facts import STAGE_LABEL, BatchRef, Body
from llmbatch_operator.kube import CallError
from operator_tests.world_objects import WorldPod, copied, finish, is_finished, pod_body

KINDS = ("endpoint", "batch", "job", "pod")
"""What watches tell of."""
LIMIT = 600
"""Requests a minute that an endpoint bears."""
_START = datetime(2026, 11, 22, tzinfo=UTC)
Notice = tuple[str, Body]


class Crash(BaseException):
    """The operator dies in the middle of what it does."""


class Fault(Enum):
    """What happens at a call to the API server."""

    REFUSED = "an error, and nothing was done"
    UNHEARD = "it was done, but the answer got lost"
    CRASH_BEFORE = "the operator dies before it"
    CRASH_AFTER = "the operator dies after it"


@dataclass
class _JobState:
    """What the Job controller keeps of a Job."""

    done: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)
    failures: dict[int, int] = field(default_factory=dict)
    failure: tuple[str, str] | None = None


class WorldCluster:
    """One namespace with one batch."""

    def __init__(self, batch: Body) -> None:
        self.batch: Body | None = batch
        self.endpoints: dict[str, Body] = {}
        self.config: PodConfig | None = None
        """What the batch's pods are told that start now."""
        self.config_map: Body | None = None
        """The ConfigMap that says so."""
        self.jobs: dict[str, Body] = {}
        self.pods: dict[str, WorldPod] = {}
        self.news: dict[str, deque[Notice]] = {kind: deque() for kind in KINDS}
        self.faults: deque[Fault | None] = deque()
        """What happens at the next calls to the API server."""
        self.seconds = 0.0
        self.on_status: Callable[[Body | None, Body], None] = lambda _old, _new: None
        self.on_job: Callable[[Body], None] = lambda _body: None
        self._numbers = 0
        self._states: dict[str, _JobState] = {}

    def now(self) -> datetime:
        """The time of day."""
        return _START + timedelta(seconds=self.seconds)

    def clock(self) -> float:
        """Seconds since the start."""
        return self.seconds

    def next_number(self) -> int:
        """For names and uids."""
        self._numbers += 1
        return self._numbers

    def tell(self, kind: str, type_: str, body: Body) -> None:
        """Let the watch deliver it some time."""
        self.news[kind].append((type_, copied(body)))

    def tell_pod(self, pod: WorldPod, type_: str = "MODIFIED") -> None:
        """Let the watch deliver a pod."""
        self.tell("pod", type_, pod_body(pod))

    # What users do

    def edit(self, **fields: object) -> None:
        """Change the spec."""
        if self.batch is not None and any(self.batch["spec"].get(k) != v for k, v in fields.items()):
            self.batch["spec"] |= fields
            self.batch["metadata"]["generation"] += 1
            self.tell("batch", "MODIFIED", self.batch)

    def put_endpoint(self, name: str, **spec: object) -> None:
        """Make an LLMEndpoint, or replace its spec."""
        before = self.endpoints.get(name)
        generation = 1 if before is None else before["metadata"]["generation"] + 1
        uid = f"endpoint-{self.next_number()}" if before is None else before["metadata"]["uid"]
        self.endpoints[name] = {
            "apiVersion": API_VERSION,
            "kind": "LLMEndpoint",
            "metadata": {"name": name, "uid": uid, "generation": generation},
            "spec": {"limits": {"requestsPerMinute": LIMIT}} | spec,
        }
        self.tell("endpoint", "MODIFIED", self.endpoints[name])

    def delete_endpoint(self, name: str) -> None:
        """It is gone."""
        self.tell("endpoint", "DELETED", self.endpoints.pop(name))

    def delete_batch(self) -> None:
        """Somebody deletes it, and what belongs to it is collected."""
        assert self.batch is not None
        self.tell("batch", "DELETED", self.batch)
        self.batch = None
        for name in [name for name, job in self.jobs.items() if "ownerReferences" in job["metadata"]]:
            self.delete_job(name)

    def delete_pod(self, pod: WorldPod) -> None:
        """It is told to end; one that has not started, or has ended, goes at once."""
        if pod.phase == "Running":
            if not pod.is_deleting:
                pod.is_deleting = True
                self.tell_pod(pod)
        else:
            self.remove_pod(pod)

    def remove_pod(self, pod: WorldPod) -> None:
        """It is gone."""
        if self.pods.pop(pod.uid, None) is not None:
            self.tell_pod(pod, "DELETED")
            job = self.jobs.get(pod.job["metadata"]["name"])
            if job is pod.job and not pod.is_counted:
                self._count(job, pod)

    # What the operator does

    def call(self, action: Callable[[], Body | None]) -> Body | None:
        """A call to the API server, which may go wrong."""
        fault = self.faults.popleft() if self.faults else None
        if fault is Fault.CRASH_BEFORE:
            raise Crash
        if fault is Fault.REFUSED:
            raise CallError(500, "the API server has a bad day")
        done = action()
        answer = None if done is None else copied(done)
        if fault is Fault.CRASH_AFTER:
            raise Crash
        if fault is Fault.UNHEARD:
            raise CallError(0, "the API server cannot be reached")
        return answer

    def create_job(self, body: Body) -> Body | None:
        """None: there is one of that name."""
        name = body["metadata"]["name"]
        if name in self.jobs:
            return None
        self.on_job(body)
        job = copied(body) | {"status": {}}
        job["metadata"]["uid"] = f"job-{self.next_number()}"
        self.jobs[name] = job
        self._states[job["metadata"]["uid"]] = _JobState()
        self.tell("job", "ADDED", job)
        return job

    def apply_config_map(self, body: Body) -> Body:
        """Pods that start from now on are told this."""
        self.config_map = copied(body)
        self.config = PodConfig.load(gzip.decompress(base64.b64decode(body["binaryData"][CONFIG_NAME])))
        return body

    def patch_job(self, name: str, spec: Body, annotations: dict[str, str] | None) -> Body | None:
        """None: it is gone."""
        if (job := self.jobs.get(name)) is None:
            return None
        job["spec"] |= spec
        job["metadata"]["annotations"] = job["metadata"].get("annotations", {}) | (annotations or {})
        self.tell("job", "MODIFIED", job)
        return job

    def delete_job(self, name: str) -> None:
        """Its pods are told to end by the garbage collector."""
        if (job := self.jobs.pop(name, None)) is not None:
            self.tell("job", "DELETED", job)
            for pod in [p for p in self.pods.values() if p.job is job]:
                self.delete_pod(pod)

    def write_status(self, ref: BatchRef, status: Body) -> Body | None:
        """None: the batch is gone."""
        if self.batch is None or self.batch["metadata"]["uid"] != ref.uid:
            return None
        self.on_status(self.batch.get("status"), status)
        self.batch["status"] = copied(status)
        self.tell("batch", "MODIFIED", self.batch)
        return self.batch

    # What the Job controller does

    def control(self, job: Body) -> None:
        """One look at one Job."""
        if is_finished(job):
            return
        before = copied(job["status"])
        state, spec = self._states[job["metadata"]["uid"]], job["spec"]
        for pod in self._pods_of(job):
            if pod.is_over and not pod.is_counted:
                self._count(job, pod)
        live = [p for p in self._pods_of(job) if not p.is_over]
        if state.failure is not None or spec.get("suspend"):
            for pod in live:
                self.delete_pod(pod)
            live = [p for p in self._pods_of(job) if not p.is_over]
        if state.failure is not None:
            if not live:
                finish(job, "Failed", *state.failure)
        elif not spec.get("suspend"):
            self._start_pods(job, state, live)
        ending = sum(p.is_deleting and not p.is_over for p in self._pods_of(job))
        job["status"] |= {
            "active": sum(not p.is_over for p in self._pods_of(job)) - ending,
            "terminating": ending,
            "succeeded": len(state.done),
            "failedIndexes": ",".join(str(i) for i in sorted(state.failed)),
        }
        if job["status"] != before:
            self.tell("job", "MODIFIED", job)

    def _start_pods(self, job: Body, state: _JobState, live: list[WorldPod]) -> None:
        open_indexes = [i for i in range(job["spec"]["completions"]) if i not in state.done and i not in state.failed]
        if not open_indexes:
            if state.failed:
                finish(job, "Failed", "FailedIndexes", "Job has failed indexes")
            elif not live:
                finish(job, "Complete")
            return
        busy = {p.index for p in live}
        for index in [i for i in open_indexes if i not in busy][: max(0, job["spec"]["parallelism"] - len(live))]:
            number = self.next_number()
            stage = Stage(job["metadata"]["labels"][STAGE_LABEL])
            pod = WorldPod(f"pod-{number}", f"{job['metadata']['name']}-{index}-{number}", stage, index, job)
            self.pods[pod.uid] = pod
            self.tell_pod(pod, "ADDED")

    def _count(self, job: Body, pod: WorldPod) -> None:
        """Take in how a pod ended."""
        pod.is_counted = True
        state, spec = self._states[job["metadata"]["uid"]], job["spec"]
        if pod.phase == "Succeeded":
            state.done.add(pod.index)
            return
        action = _policy(spec["podFailurePolicy"]["rules"], pod)
        if action == "FailJob":
            state.failure = state.failure or ("PodFailurePolicy", f"exit code {pod.exit_code}")
        if action != "Count":
            return
        state.failures[pod.index] = state.failures.get(pod.index, 0) + 1
        if "backoffLimitPerIndex" in spec and state.failures[pod.index] > spec["backoffLimitPerIndex"]:
            state.failed.add(pod.index)
        elif "backoffLimit" in spec and sum(state.failures.values()) > spec["backoffLimit"]:
            state.failure = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")

    def _pods_of(self, job: Body) -> list[WorldPod]:
        return [p for p in self.pods.values() if p.job is job]


def _policy(rules: list[Body], pod: WorldPod) -> str:
    if pod.exit_code is None:  # removed before it ended
        return "Ignore"
    for rule in rules:
        if pod.exit_code in rule.get("onExitCodes", {}).get("values", ()):
            return str(rule["action"])
    return "Count"
