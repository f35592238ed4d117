"""The operator over the simulated cluster: everything of it but kopf, HTTP and the real API server.

`restart` throws away what it knows in memory, as when its process dies.
"""

import heapq
from collections.abc import Awaitable
from pathlib import Path

from llmbatch_contract.reports import Reply, Report
from llmbatch_operator.coordinator.desk import PodIdentity
from llmbatch_operator.endpoints.changes import EndpointChanges
from llmbatch_operator.endpoints.known import Endpoints
from llmbatch_operator.events import Event
from llmbatch_operator.facts import BatchRef, Body
from llmbatch_operator.gather import Gatherer
from llmbatch_operator.kube import Kube
from llmbatch_operator.reconcile import Reconciler
from llmbatch_operator.sessions import Sessions
from llmbatch_operator.settings import Settings, read_settings
from llmbatch_operator.telemetry.recorder import Recorder
from llmbatch_telemetry.meters import Meters
from llmbatch_telemetry.spans import Span
from llmbatch_telemetry.telemetry import Telemetry
from operator_tests.collected import Collected
from operator_tests.world_cluster import Crash, WorldCluster
from operator_tests.world_objects import NAMESPACE, WorldPod

SETTINGS: Settings = read_settings({"LLMBATCH_STORE_FOLDER": str(Path("/nowhere"))})


class WorldKube(Kube):
    """Calls that reach the simulated API server."""

    def __init__(self, cluster: WorldCluster) -> None:
        self._cluster = cluster

    async def create_job(self, body: Body) -> Body | None:
        """As Kube's."""
        return self._cluster.call(lambda: self._cluster.create_job(body))

    async def read_job(self, namespace: str, name: str) -> Body | None:
        """As Kube's."""
        return self._cluster.call(lambda: self._cluster.jobs.get(name))

    async def create_secret(self, body: Body) -> Body | None:
        """As Kube's."""
        return self._cluster.call(lambda: body)

    async def apply_config_map(self, body: Body) -> None:
        """As Kube's."""
        self._cluster.call(lambda: self._cluster.apply_config_map(body))

    async def patch_job(
        self, namespace: str, name: str, spec: Body, annotations: dict[str, str] | None = None
    ) -> Body | None:
        """As Kube's."""
        return self._cluster.call(lambda: self._cluster.patch_job(name, spec, annotations))

    async def delete_job(self, namespace: str, name: str) -> None:
        """As Kube's."""
        self._cluster.call(lambda: self._cluster.delete_job(name))

    async def write_status(self, ref: BatchRef, status: Body) -> Body | None:
        """As Kube's."""
        return self._cluster.call(lambda: self._cluster.write_status(ref, status))


class WorldOperator:
    """One operator, which may die and come back."""

    def __init__(self, cluster: WorldCluster) -> None:
        self._cluster = cluster
        self.events: list[Event] = []
        self.spans: list[Span] = []
        """Of all its lives."""
        self.restart()

    def restart(self) -> None:
        """A new process: it reads everything once, then follows the watches."""
        cluster = self._cluster
        self.wanted: set[str] = set()
        self._later: list[tuple[float, str]] = []
        telemetry = Telemetry(Meters(), Collected(self.spans))
        self.recorder = Recorder(telemetry, lambda: cluster.now().timestamp())
        self.sessions = Sessions(self.wanted.add, cluster.clock, self.recorder)
        self.endpoints = Endpoints()
        self.endpoints.on_change = EndpointChanges(self.endpoints, self.sessions, self.wanted.add)
        self.reconciler = Reconciler(
            WorldKube(cluster),
            self.sessions,
            SETTINGS,
            ca="",
            master_key=b"key",
            tell=lambda _body, event: self.events.append(event),
            again=lambda uid, seconds: heapq.heappush(self._later, (cluster.seconds + seconds, uid)),
            on_gone=lambda _uid: None,
            on_ended=lambda _uid: None,
            gatherer=Gatherer(cluster.clock, self.endpoints),
            clock=cluster.clock,
            now=cluster.now,
        )
        for notices in cluster.news.values():
            notices.clear()
        for endpoint in cluster.endpoints.values():
            cluster.tell("endpoint", "ADDED", endpoint)
        if cluster.batch is not None:
            cluster.tell("batch", "ADDED", cluster.batch)
        for job in cluster.jobs.values():
            cluster.tell("job", "ADDED", job)
        for pod in cluster.pods.values():
            cluster.tell_pod(pod, "ADDED")
        for kind in cluster.news:
            self.hear(kind, len(cluster.news[kind]))

    def hear(self, kind: str, count: int = 1) -> None:
        """Let the watch deliver some of its news."""
        cache, endpoints, notices = self.sessions.cache, self.endpoints, self._cluster.news[kind]
        puts = {"endpoint": endpoints.put, "batch": cache.put_batch, "job": cache.put_job, "pod": cache.put_pod}
        drops = {"endpoint": endpoints.drop, "batch": cache.drop_batch, "job": cache.drop_job, "pod": cache.drop_pod}
        for _ in range(min(count, len(notices))):
            type_, body = notices.popleft()
            (drops if type_ == "DELETED" else puts)[kind](body)

    def look(self) -> bool:
        """Look at what wants a look; whether there was anything. It may die of it, and comes back at once."""
        self._wake_the_due()
        looked = sorted(self.wanted)
        self.wanted.clear()
        try:
            for uid in looked:
                _finish(self.reconciler.reconcile(uid))
        except Crash:
            self.restart()
        return bool(looked)

    def look_at_reports(self) -> None:
        """What it does every second."""
        self.wanted.update(self.sessions.changed())

    def report(self, pod: WorldPod, report: Report) -> Reply | None:
        """What the coordinator answers a pod."""
        uid = self.sessions.cache.batch_of_pod(pod.uid)
        if uid is None:
            return Reply(command="pause", grant=report.holds)  # 403: the pod goes on waiting
        return self.sessions.reply(PodIdentity(NAMESPACE, pod.name, "triage", uid), report)

    def _wake_the_due(self) -> None:
        while self._later and self._later[0][0] <= self._cluster.seconds:
            self.wanted.add(heapq.heappop(self._later)[1])


def _finish(work: Awaitable[None]) -> None:
    """Run to its end what never waits."""
    step = work.__await__()
    try:
        next(step)
    except StopIteration:
        return
    raise AssertionError("the simulated API server answers at once")
