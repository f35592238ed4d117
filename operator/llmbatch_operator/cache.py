"""What the operator knows of the cluster: batches, their Jobs and pods, as the watches tell. No I/O, no decisions.

Everything here is rebuilt after a restart, from lists first: a batch is known before its Jobs and pods are. Changes are
told to `on_change` with the uid of the batch that they are about.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from llmbatch_contract.pods import CanaryCounts, FinalCounts, LastWords
from llmbatch_contract.status import Phase
from llmbatch_contract.trace import BatchTrace
from llmbatch_operator.facts import BatchRef, Body, JobFacts, PodFacts, read_job, read_pod, read_trace

_FINAL = frozenset(phase.value for phase in Phase if phase.is_final)


@dataclass
class Known:
    """Everything about one batch."""

    ref: BatchRef | None = None
    body: Body | None = None
    trace: BatchTrace | None = None
    """As it was when the batch was seen first."""
    jobs: dict[str, JobFacts] = field(default_factory=dict)
    """By name."""
    pods: dict[str, PodFacts] = field(default_factory=dict)
    """By uid; with those that only claim to be the batch's."""
    job_uids: set[str] = field(default_factory=set)
    """Of all Jobs that the batch has or had."""

    def owns(self, pod: PodFacts) -> bool:
        """Whether it is a pod of one of the batch's Jobs, whatever its labels say."""
        return pod.job_uid in self.job_uids

    @property
    def final(self) -> FinalCounts | None:
        """What the pod has counted that wrote the outputs, if it is still there."""
        return next((w.final for w in self._last_words if w.final is not None), None)

    @property
    def canary(self) -> CanaryCounts | None:
        """What the pod has counted that asked the last items of the canary, if it is still there."""
        return next((w.canary for w in self._last_words if w.canary is not None), None)

    @property
    def _last_words(self) -> Iterator[LastWords]:
        return (p.last_words for p in self.pods.values() if p.last_words is not None and self.owns(p))

    @property
    def is_empty(self) -> bool:
        """Nothing is left of it."""
        return self.body is None and not self.jobs and not self.pods


class Cache:
    """All batches, by uid."""

    def __init__(self, on_change: Callable[[str], None], on_pod: Callable[[PodFacts], None]) -> None:
        """`on_pod` is told of every pod whose facts have changed, before `on_change`."""
        self._known: dict[str, Known] = {}
        self._uids: dict[tuple[str, str], str] = {}
        self._pod_batches: dict[str, str] = {}
        self.strays: dict[str, PodFacts] = {}
        """Pods by uid, of batches that nobody knows: after a restart, those of batches that have just been deleted."""
        self._on_change, self._on_pod = on_change, on_pod

    def get(self, uid: str) -> Known | None:
        """What is known of a batch that exists."""
        known = self._known.get(uid)
        return known if known is not None and known.body is not None else None

    def known(self, uid: str) -> Known | None:
        """What is known of a batch, though it may have gone and left something."""
        return self._known.get(uid)

    def all(self) -> Iterator[Known]:
        """Everything that is known of any batch."""
        return iter(list(self._known.values()))

    def ref_of(self, uid: str) -> BatchRef | None:
        """The name of a batch that exists, or of which something is left."""
        known = self._known.get(uid)
        return known.ref if known is not None else None

    def has_ended(self, uid: str) -> bool:
        """Whether the batch has a final phase."""
        known = self.get(uid)
        return known is not None and ((known.body or {}).get("status") or {}).get("phase") in _FINAL

    def uid_of(self, namespace: str, name: str) -> str | None:
        """The uid of the batch of that name."""
        return self._uids.get((namespace, name))

    def uids(self) -> Iterator[str]:
        """All batches that exist."""
        return iter([uid for uid, known in self._known.items() if known.body is not None])

    def phases(self) -> Counter[tuple[str, str]]:
        """How many batches there are, by namespace and phase. May be called from any thread."""
        bodies = [known.body for known in list(self._known.values())]
        return Counter(
            (body["metadata"]["namespace"], (body.get("status") or {}).get("phase", Phase.PENDING.value))
            for body in bodies
            if body is not None
        )

    def pod(self, batch_uid: str, pod_uid: str) -> PodFacts | None:
        """A pod of a batch."""
        known = self._known.get(batch_uid)
        return known.pods.get(pod_uid) if known is not None else None

    def batch_of_pod(self, pod_uid: str) -> str | None:
        """The batch that a pod works for."""
        uid = self._pod_batches.get(pod_uid)
        known = self._known.get(uid) if uid is not None else None
        pod = known.pods.get(pod_uid) if known is not None else None
        return uid if known is not None and pod is not None and known.owns(pod) else None

    def put_batch(self, body: Body) -> None:
        """A batch is there or has changed."""
        metadata = body["metadata"]
        ref = BatchRef(metadata["namespace"], metadata["name"], metadata["uid"])
        known = self._known.setdefault(ref.uid, Known())
        is_news = known.body is None or _what_decides(known.body) != _what_decides(body)
        known.ref, known.body = ref, body
        known.trace = known.trace or read_trace(body)
        self._uids[ref.namespace, ref.name] = ref.uid
        if is_news:
            self._on_change(ref.uid)

    def drop_batch(self, body: Body) -> None:
        """A batch has gone."""
        metadata = body["metadata"]
        uid = metadata["uid"]
        if self._uids.get((metadata["namespace"], metadata["name"])) == uid:
            del self._uids[metadata["namespace"], metadata["name"]]
        if (known := self._known.get(uid)) is not None:
            known.body = None
            self._forget_if_empty(uid, known)
        self._on_change(uid)

    def put_job(self, body: Body) -> None:
        """A Job is there or has changed."""
        job = read_job(body)
        if job is None or (known := self._known_beside(body, job.batch_uid)) is None:
            return
        if job.uid not in known.job_uids:
            known.job_uids.add(job.uid)
            for pod in [p for p in known.pods.values() if p.job_uid == job.uid]:
                self._on_pod(pod)
        if known.jobs.get(job.name) != job:
            known.jobs[job.name] = job
            self._on_change(job.batch_uid)

    def drop_job(self, body: Body) -> None:
        """A Job has gone."""
        job = read_job(body)
        if job is None or (known := self._known.get(job.batch_uid)) is None:
            return
        if (held := known.jobs.get(job.name)) is not None and held.uid == job.uid:
            self._drop_job(known, job)

    def put_pod(self, body: Body) -> None:
        """A pod is there or has changed."""
        pod = read_pod(body)
        if pod is None:
            return
        if pod.batch_uid not in self._known:
            self.strays[pod.uid] = pod
        if (known := self._known_beside(body, pod.batch_uid)) is None:
            return
        self._pod_batches[pod.uid] = pod.batch_uid
        if known.pods.get(pod.uid) != pod:
            known.pods[pod.uid] = pod
            self._tell(known, pod)

    def drop_pod(self, body: Body) -> None:
        """A pod has gone; what it said at its end counts."""
        pod = read_pod(body)
        if pod is None:
            return
        if self.strays.pop(pod.uid, None) is not None:
            self._on_pod(_at_its_end(pod))
        elif (known := self._known_beside(body, pod.batch_uid)) is not None:
            self._drop_pod(known, pod)

    def known_uids(self) -> frozenset[str]:
        """Of all batches, Jobs and pods."""
        batches = [uid for uid, known in self._known.items() if known.body is not None]
        jobs = [job.uid for known in self._known.values() for job in known.jobs.values()]
        pods = [uid for known in self._known.values() for uid in known.pods]
        return frozenset((*batches, *jobs, *pods, *self.strays))

    def forget(self, gone: frozenset[str]) -> None:
        """Drop what a list no longer has: a watch that had to begin anew does not tell what went meanwhile."""
        for uid in gone & self.strays.keys():
            self._on_pod(_at_its_end(self.strays.pop(uid)))
        for known in list(self._known.values()):
            for pod in [p for uid, p in known.pods.items() if uid in gone]:
                self._drop_pod(known, pod)
            for job in [j for j in known.jobs.values() if j.uid in gone]:
                self._drop_job(known, job)
            if known.body is not None and known.body["metadata"]["uid"] in gone:
                self.drop_batch(known.body)

    def _drop_pod(self, known: Known, pod: PodFacts) -> None:
        self._pod_batches.pop(pod.uid, None)
        known.pods.pop(pod.uid, None)
        self._tell(known, _at_its_end(pod))
        self._forget_if_empty(pod.batch_uid, known)

    def _drop_job(self, known: Known, job: JobFacts) -> None:
        del known.jobs[job.name]
        self._forget_if_empty(job.batch_uid, known)
        self._on_change(job.batch_uid)

    def _known_beside(self, body: Body, uid: str) -> Known | None:
        """The batch that an object names, if it is in the batch's namespace: anybody may name a batch in another."""
        known = self._known.get(uid)
        namespace = known.ref.namespace if known is not None and known.ref is not None else None
        return known if namespace == body["metadata"]["namespace"] else None

    def _tell(self, known: Known, pod: PodFacts) -> None:
        if known.owns(pod):
            self._on_pod(pod)
        self._on_change(pod.batch_uid)

    def _forget_if_empty(self, uid: str, known: Known) -> None:
        if known.is_empty:
            self._known.pop(uid, None)


def _at_its_end(pod: PodFacts) -> PodFacts:
    """A pod that has gone; without an end of its container, as when its node is lost."""
    return pod if pod.is_over else replace(pod, phase="Failed")


def _what_decides(body: Body) -> tuple[object, ...]:
    """All of a batch but the numbers of its status, which the operator itself writes every few seconds."""
    metadata, status = body["metadata"], body.get("status") or {}
    return metadata["generation"], metadata.get("deletionTimestamp"), status.get("phase"), status.get("conditions")
