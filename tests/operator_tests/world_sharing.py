"""Batches that share an LLMEndpoint, an operator that dies and comes back, and pods that use what they were granted.

What is real: cache, sessions, pools and all that they share by. What is simulated: pods, which go on with their last
grant until their lease is over, replies that come late or never, watches that lag, and the reconciler's opening of
sessions. The promise is that all pods together never may use more than the limit.
"""

from collections import deque
from dataclasses import dataclass, field

from llmbatch_contract.pods import Stage
from llmbatch_contract.reports import LEASE_S, Command, Grant, Reply, Report
from llmbatch_contract.spec import Limits
from llmbatch_operator.coordinator.desk import PodIdentity
from llmbatch_operator.facts import CONTAINER, JOB_LABEL, STAGE_LABEL, UID_LABEL, BatchRef, Body
from llmbatch_operator.sessions import Sessions
from operator_tests.operator_builders import spec

ENDPOINT = "shared"
_STATUS_LAG_S = 5.0
"""So long the API server may take to hear that a container has started."""
_LOOK_EVERY_S = 4.0
_STARTED = "2026-11-22T00:00:00Z"
_ROUNDING = 1e-6


@dataclass
class SharingPod:
    """A pod that asks as much as it is granted."""

    name: str
    ref: BatchRef
    grant: Grant = Grant()
    is_running: bool = False
    started_at: float = 0.0
    has_ended: bool = False
    is_paused: bool = True
    leased_at: float = float("-inf")
    """When it sent the report that was answered last."""
    limits_seen: int = 0
    """Which limits held when that was answered."""
    late: tuple[float, int, Reply] | None = None
    """A reply that is under way, the time of its report, and the limits that held."""

    @property
    def uid(self) -> str:
        """As Kubernetes gives it."""
        return f"uid-{self.name}"

    def holds(self, now: float) -> Grant:
        """As it says in a report."""
        return self.grant if now - self.leased_at < LEASE_S else self.grant.lapsed()

    def may_use(self, now: float) -> float:
        """Requests a minute."""
        if not self.is_running or not self.grant.number or now - self.leased_at >= LEASE_S:
            return 0.0
        assert self.grant.requests_per_minute is not None, "no limit at all"
        return self.grant.requests_per_minute

    def obey(self, sent_at: float, limits: int, reply: Reply) -> None:
        """A reply has arrived."""
        self.late = None
        self.leased_at, self.limits_seen = sent_at, limits
        self.grant, self.is_paused = reply.grant, reply.command is not Command.RUN
        assert self.is_paused or self.grant.requests_per_minute is not None, "told to run without a limit"


@dataclass
class SharingWorld:
    """Everything."""

    batches: int = 3
    limit: float = 600
    now: float = 0.0
    pods: list[SharingPod] = field(default_factory=list, init=False)
    gone: set[str] = field(default_factory=set)
    """Uids of batches that were deleted."""
    news: deque[tuple[str, Body]] = field(default_factory=deque)
    listed: dict[str, Body] = field(default_factory=dict)
    """Pods as the API server has them, by uid."""

    def __post_init__(self) -> None:
        self.refs = [BatchRef(f"team-{n % 2}", f"batch-{n}", f"batch-uid-{n}") for n in range(self.batches)]
        self.limits = [self.limit]
        """All that ever held."""
        self.restart()

    # The operator

    def restart(self) -> None:
        """A new process, which reads everything first.

        Of pods that were deleted by force it cannot know; so those are taken not to outlive the operator.
        """
        for pod in self.pods:
            pod.is_running = pod.is_running and pod.uid in self.listed
        self.limits_before = min((pod.limits_seen for pod in self._using()), default=len(self.limits) - 1)
        self.sessions = Sessions(lambda _uid: None, lambda: self.now)
        self.news.clear()
        for ref in self.refs:
            if ref.uid not in self.gone:
                self.sessions.cache.put_batch(_batch_body(ref))
                self.sessions.cache.put_job(_job_body(ref))
        for body in self.listed.values():
            self.sessions.cache.put_pod(body)

    def open(self, number: int) -> None:
        """The reconciler looks at a batch."""
        ref = self.refs[number % len(self.refs)]
        if ref.uid in self.gone:
            return
        known = self.sessions.get(ref.uid)
        limits = {"requestsPerMinute": self.limits[-1]}
        self.sessions.open(ref, known.spec if known is not None else spec(limits=limits), ENDPOINT)

    def set_limit(self, limit: float) -> None:
        """Somebody changes the LLMEndpoint."""
        self.limits.append(limit)
        self.sessions.pools.set_limits(ENDPOINT, Limits(requests_per_minute=limit))

    def delete_batch(self, number: int) -> None:
        """With `kubectl delete`; its pods are told to end, and may take their time."""
        ref = self.refs[number % len(self.refs)]
        if ref.uid not in self.gone:
            self.gone.add(ref.uid)
            self.sessions.cache.drop_batch(_batch_body(ref))
            self.sessions.close(ref.uid)
            for pod in self.pods:
                self._tell(pod, "MODIFIED")

    def hear(self, count: int) -> None:
        """Let the watch deliver some of its news."""
        for _ in range(min(count, len(self.news))):
            type_, body = self.news.popleft()
            cache = self.sessions.cache
            (cache.drop_pod if type_ == "DELETED" else cache.put_pod)(body)

    # Pods

    def start_pod(self, batch: int) -> SharingPod:
        """A container starts; the API server hears of it later."""
        ref = self.refs[batch % len(self.refs)]
        pod = SharingPod(f"pod-{len(self.pods)}", ref, is_running=True, started_at=self.now)
        self.pods.append(pod)
        self._tell(pod, "ADDED")
        return pod

    def report(self, pod: SharingPod, *, is_heard: bool = True, arrives: bool = True, is_late: bool = False) -> None:
        """One exchange: the report may get lost, or the reply, or it comes late."""
        if not pod.is_running or pod.late is not None or not is_heard:
            return
        reply = self._reply(pod, Report(worker=pod.name, holds=pod.holds(self.now)))
        if reply is not None and is_late:
            pod.late = (self.now, self._limits_told(), reply)
        elif reply is not None and arrives:
            pod.obey(self.now, self._limits_told(), reply)

    def arrive(self, pod: SharingPod) -> None:
        """The late reply arrives."""
        if pod.late is not None and pod.is_running:
            pod.obey(*pod.late)

    def leave(self, pod: SharingPod) -> None:
        """It ends in good order; its last report may be its last sign of life."""
        if pod.is_running:
            self._reply(pod, Report(worker=pod.name, holds=pod.holds(self.now), leaving=True))
            self.end(pod)

    def end(self, pod: SharingPod) -> None:
        """Its container ends, and the API server hears of it."""
        if pod.is_running:
            pod.is_running, pod.has_ended = False, True
            self._tell(pod, "MODIFIED")

    def lose(self, pod: SharingPod) -> None:
        """Its object is deleted by force: it may go on, on a node that nobody can reach."""
        body = self.listed.get(pod.uid)
        if body is not None and body["status"]["phase"] != "Pending":  # before that, its node has hardly begun with it
            del self.listed[pod.uid]
            self.news.append(("DELETED", body))

    def pass_time(self, seconds: float) -> None:
        """Leases run out; the operator looks at itself; the API server learns what has started."""
        while seconds > 0:
            self.now += min(seconds, _LOOK_EVERY_S)
            seconds -= _LOOK_EVERY_S
            self.sessions.changed()
        for pod in self.pods:
            if pod.uid in self.listed and self.now - pod.started_at >= _STATUS_LAG_S:
                self._tell(pod, "MODIFIED")

    def in_peace(self, seconds: int, *, at_once: float = 1) -> None:
        """Everybody reports every second or so, and everything is heard."""
        for _ in range(int(seconds / at_once)):
            self.pass_time(at_once)
            self.hear(len(self.news))
            for number in range(self.batches):
                self.open(number)
            for pod in self.pods:
                self.arrive(pod)
                self.report(pod)
            self.check()

    # What must hold

    def check(self) -> None:
        """What all pods may use is within the limit; within the one before, for as long as some have not heard."""
        using = self._using()
        oldest = min((pod.limits_seen for pod in using), default=len(self.limits) - 1)
        most = max(self.limits[oldest:])
        used = {pod.name: pod.may_use(self.now) for pod in using}
        assert sum(used.values()) <= most + _ROUNDING, (most, used)

    def working(self) -> list[SharingPod]:
        """Pods that are there for all to see, of batches that go on."""
        return [pod for pod in self.pods if pod.is_running and pod.uid in self.listed and pod.ref.uid not in self.gone]

    def _using(self) -> list[SharingPod]:
        return [pod for pod in self.pods if pod.may_use(self.now) > 0]

    def _limits_told(self) -> int:
        """Until an operator that has just started has heard everybody, pods keep what they have from before."""
        pool = self.sessions.pools.get(ENDPOINT)
        return len(self.limits) - 1 if pool is not None and not pool.shares._expected else self.limits_before

    def _reply(self, pod: SharingPod, report: Report) -> Reply | None:
        """None: nothing that a worker could go by (403, 410)."""
        uid = self.sessions.cache.batch_of_pod(pod.uid)
        if uid is None:
            return None
        reply = self.sessions.reply(PodIdentity(pod.ref.namespace, pod.name, pod.ref.name, uid), report)
        if reply is None:
            self.end(pod)
        return reply

    def _tell(self, pod: SharingPod, type_: str) -> None:
        body = _pod_body(pod, is_seen_running=self.now - pod.started_at >= _STATUS_LAG_S)
        if pod.ref.uid in self.gone:
            body["metadata"]["deletionTimestamp"] = _STARTED
        if self.listed.get(pod.uid) != body and (type_ == "ADDED" or pod.uid in self.listed):
            self.listed[pod.uid] = body
            self.news.append((type_, body))


def _batch_body(ref: BatchRef) -> Body:
    metadata = {"name": ref.name, "namespace": ref.namespace, "uid": ref.uid, "generation": 1}
    return {"metadata": metadata, "spec": {"endpoint": {"ref": ENDPOINT}}, "status": {}}


def _job_body(ref: BatchRef) -> Body:
    owner = {"kind": "LLMBatch", "name": ref.name, "uid": ref.uid, "controller": True}
    metadata = {"name": ref.name, "namespace": ref.namespace, "uid": f"job-{ref.uid}", "ownerReferences": [owner]}
    return {"metadata": metadata | {"labels": {STAGE_LABEL: Stage.SHARD.value}}, "spec": {}, "status": {}}


def _pod_body(pod: SharingPod, *, is_seen_running: bool) -> Body:
    labels = {STAGE_LABEL: Stage.SHARD.value, UID_LABEL: pod.ref.uid, JOB_LABEL: pod.ref.name}
    owner = {"kind": "Job", "uid": f"job-{pod.ref.uid}", "controller": True}
    metadata = {"name": pod.name, "namespace": pod.ref.namespace, "uid": pod.uid, "labels": labels}
    state: Body = (
        {"running": {"startedAt": _STARTED}} if is_seen_running else {"waiting": {"reason": "PodInitializing"}}
    )
    phase = "Running" if is_seen_running else "Pending"
    if pod.has_ended:
        phase, state = "Failed", {"terminated": {"exitCode": 1, "startedAt": _STARTED}}
    status = {"phase": phase, "containerStatuses": [{"name": CONTAINER, "state": state}]}
    return {"metadata": metadata | {"ownerReferences": [owner]}, "spec": {"nodeName": "node"}, "status": status}
