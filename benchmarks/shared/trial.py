"""The whole scene, in one of three ways: shares by demand, a limit split by the number of pods, each pod alone."""

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.shared.endpoint import StrictEndpoint
from benchmarks.shared.scene import Batch, Scene
from benchmarks.shared.simulated_time import run_simulated
from benchmarks.shared.worker import Worker
from llmbatch_contract.coordination import Coordinator
from llmbatch_contract.progress import BatchProgress
from llmbatch_contract.reports import Grant, Reply, Report
from llmbatch_contract.sharing import EndpointShares
from llmbatch_contract.spec import FailurePolicy, Limits
from llmbatch_worker.limits.gate import Gate


class Way(StrEnum):
    """How a limit is kept by many."""

    SHARED = "shared"
    """What each may use is decided anew with every report."""
    SPLIT = "split"
    """Each has the limit divided by the number of all."""
    ALONE = "alone"
    """Each adapts to the 429s that it gets itself."""


@dataclass(frozen=True)
class Times:
    """When things happen, in seconds of simulated time."""

    settled: int
    """From here on it is measured."""
    halved: int
    """Half of the batches end."""
    end: int


@dataclass(frozen=True)
class Outcome:
    """What came of a trial."""

    endpoint: StrictEndpoint
    reports: int
    coordinator_cpu_s: float


class _Desk:
    """Answers the reports of all batches, and takes its time of it."""

    def __init__(self, scene: Scene) -> None:
        limits = Limits(requests_per_minute=scene.requests_per_minute, tokens_per_minute=scene.tokens_per_minute)
        shares = EndpointShares(limits, 0.0)
        self._coordinators = {
            batch.name: Coordinator(
                FailurePolicy(), BatchProgress(0, 0), shares, namespace=batch.namespace, batch=batch.name
            )
            for batch in scene.batches
        }
        self.reports, self.cpu_s = 0, 0.0

    def reply(self, batch: str, report: Report) -> Reply:
        now, before = asyncio.get_running_loop().time(), time.process_time()
        reply = self._coordinators[batch].reply(report, now)
        self.cpu_s += time.process_time() - before
        self.reports += 1
        return reply


@dataclass(frozen=True)
class _Link:
    """A worker's way to the desk."""

    desk: _Desk
    batch: str

    async def exchange(self, report: Report) -> Reply:
        return self.desk.reply(self.batch, report)

    async def next_shard(self) -> int | None:
        return None


def try_out(way: Way, scene: Scene, times: Times) -> Outcome:
    """Run the scene."""
    return run_simulated(_run(way, scene, times))


async def _run(way: Way, scene: Scene, times: Times) -> Outcome:
    endpoint = StrictEndpoint(scene.requests_per_minute, scene.tokens_per_minute, random.Random(1))
    desk, workers, grant = _Desk(scene), list(_workers(way, scene.batches, endpoint)), _grant(way, scene)
    tasks = [
        asyncio.create_task(worker.run(_Link(desk, worker.batch.name) if way is Way.SHARED else None, grant))
        for worker in workers
    ]
    await asyncio.sleep(times.halved)
    for worker in workers:
        if worker.batch.ends:
            worker.end()
    await asyncio.sleep(times.end - times.halved)
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if ended is not None and not isinstance(ended, asyncio.CancelledError):
            raise RuntimeError("a worker has failed") from ended
    return Outcome(endpoint, desk.reports, desk.cpu_s)


def _workers(way: Way, batches: tuple[Batch, ...], endpoint: StrictEndpoint) -> Iterator[Worker]:
    clock = asyncio.get_running_loop().time
    for batch in batches:
        for number in range(batch.workers):
            name = f"{batch.name}-{number}"
            gate = Gate(None if way is Way.ALONE else batch.concurrency, clock)
            yield Worker(name, batch, endpoint, gate, random.Random(name))


def _grant(way: Way, scene: Scene) -> Grant:
    if way is not Way.SPLIT:
        return Grant()
    return Grant(
        number=1,
        requests_per_minute=scene.requests_per_minute / scene.workers,
        tokens_per_minute=None if scene.tokens_per_minute is None else scene.tokens_per_minute / scene.workers,
    )
