"""Many running batches on a real API server: their pods find no node, and are played from here.

A pod that plans ends with a plan as its last words; a pod that asks is called Running, and gets a token that is bound
to it, as a kubelet would fetch it, and a worker that reports. Jobs and pods themselves are made by the operator and by
Kubernetes.
"""

import asyncio
import random
from collections.abc import Collection
from dataclasses import dataclass, field

from benchmarks.load.api import Api, Body
from benchmarks.load.freshness import Freshness
from benchmarks.load.workers import SHARD_ITEMS, Coordinator, Worker
from llmbatch_contract.pods import AUDIENCE, LastWords, Stage
from llmbatch_contract.reports import PlanFacts
from llmbatch_contract.spec import API_VERSION, KIND
from llmbatch_operator.facts import CONTAINER, STAGE_LABEL, UID_LABEL

BATCHES = "/apis/llmbatch.dev/v1alpha1"
_INDEX = "batch.kubernetes.io/job-completion-index"
_LABEL = "llmbatch-benchmark"
_AT_ONCE = 8


@dataclass
class Crowd:
    """All batches of one benchmark."""

    api: Api
    coordinator: Coordinator
    name: str
    """A label of all that it makes."""
    pods_each: int
    freshness: Freshness = field(default_factory=Freshness)
    reply_s: list[float] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _calls: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    _watches: list["asyncio.Task[None]"] = field(default_factory=list)
    _players: set["asyncio.Task[None]"] = field(default_factory=set)

    async def fill(self, namespaces: list[str], batches: int) -> None:
        """Make the batches, and play their pods from now on."""
        self._watches = [asyncio.create_task(part) for part in (self._watch_pods(), self._watch_statuses())]
        await asyncio.sleep(1)  # the watches have begun
        async with asyncio.TaskGroup() as group:
            for number in range(batches):
                namespace = namespaces[number % len(namespaces)]
                group.create_task(self._create(namespace, _batch(f"load-{number}", self.name, self.pods_each)))

    def check(self) -> None:
        """Raise what has gone wrong."""
        for task in (*self._watches, *self._players):
            if task.done():
                self._players.discard(task)
                task.result()

    async def say_last(self) -> None:
        """Stop all workers; each says once more what it has done."""
        await _cancelled(self._players)
        for some in range(0, len(self.workers), _AT_ONCE):
            await asyncio.gather(*(worker.report() for worker in self.workers[some : some + _AT_ONCE]))

    async def end(self) -> None:
        """Stop everything."""
        await _cancelled([*self._watches, *self._players])
        for worker in self.workers:
            worker.close()

    async def _create(self, namespace: str, body: Body) -> None:
        async with self._calls:
            await self.api.create(f"{BATCHES}/namespaces/{namespace}/llmbatches", body)

    async def _watch_statuses(self) -> None:
        async for event in self.api.watch(f"{BATCHES}/llmbatches", f"{_LABEL}={self.name}"):
            items = (event["object"].get("status") or {}).get("items")
            if items is not None:
                now = asyncio.get_running_loop().time()
                self.freshness.shown(event["object"]["metadata"]["uid"], items["succeeded"] + items["failed"], now)

    async def _watch_pods(self) -> None:
        async for event in self.api.watch("/api/v1/pods", f"{_LABEL}={self.name}"):
            pod = event["object"]
            if event["type"] == "ADDED" and pod["metadata"]["uid"] not in self._seen:
                self._seen.add(pod["metadata"]["uid"])
                self._players.add(asyncio.create_task(self._play(pod)))

    async def _play(self, pod: Body) -> None:
        if pod["metadata"]["labels"][STAGE_LABEL] == Stage.PLAN:
            await self._plan(pod)
        else:
            await self._work(pod)

    async def _plan(self, pod: Body) -> None:
        plan = PlanFacts(items=self.pods_each * SHARD_ITEMS, shards=self.pods_each)
        words = LastWords(stage=Stage.PLAN, plan=plan).dump_json().decode()
        ended = {"exitCode": 0, "reason": "Completed", "message": words}
        await self._set_status(pod, "Succeeded", {"terminated": ended})

    async def _work(self, pod: Body) -> None:
        metadata = pod["metadata"]
        await self._set_status(pod, "Running", {"running": {}})
        uid, shard = metadata["labels"][UID_LABEL], int(metadata["annotations"][_INDEX])

        def told(done: int, sent_at: float) -> None:
            self.freshness.told(uid, shard, done, sent_at)

        token = await self._token(metadata)
        worker = Worker(self.coordinator, metadata["name"], token, shard, told, self.reply_s)
        self.workers.append(worker)
        await worker.run(random.random())

    async def _set_status(self, pod: Body, phase: str, state: Body) -> None:
        container = {"name": CONTAINER, "state": state, "image": "", "imageID": "", "ready": False, "restartCount": 0}
        status = {"phase": phase, "containerStatuses": [container]}
        path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status"
        async with self._calls:
            await self.api.merge(path, {"status": status})

    async def _token(self, metadata: Body) -> str:
        pod = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        spec = {"audiences": [AUDIENCE], "expirationSeconds": 3600, "boundObjectRef": pod}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/default/token"
        async with self._calls:
            answer = await self.api.create(path, body)
        token: str = answer["status"]["token"]
        return token


async def _cancelled(tasks: Collection["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _batch(name: str, label: str, pods: int) -> Body:
    """A batch whose pods find no node."""
    spec = {
        "endpoint": {"url": "http://nowhere/v1", "limits": {"requestsPerMinute": 100_000}},
        "model": "m",
        "input": {"configMap": {"name": "nowhere", "key": "items.jsonl"}},
        "request": {"prompt": "{{ text }}"},
        "failurePolicy": {"maxFailurePercent": 50},
        "parallelism": pods,
        "worker": {"nodeSelector": {"llmbatch.dev/there-is-no": "such-node"}, "labels": {_LABEL: label}},
    }
    metadata = {"name": name, "labels": {_LABEL: label}}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}
