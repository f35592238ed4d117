"""The shards stage of one worker: the engine and its coordinator in this process, files in a folder of its own."""

import asyncio
import time
from pathlib import Path
from typing import Any

from benchmarks.inside.probes import Probes
from benchmarks.inside.timing import Stretch
from benchmarks.workload import job as make_job
from llmbatch_cli.running.links import DirectLink, ShardQueue, StoreWaits
from llmbatch_contract.coordination import Coordinator
from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan
from llmbatch_contract.progress import BatchProgress
from llmbatch_contract.sharing import EndpointShares
from llmbatch_telemetry.telemetry import Telemetry
from llmbatch_worker.engine import Engine
from llmbatch_worker.planning.planner import make_plan
from llmbatch_worker.stores.local import LocalStore
from llmbatch_worker.stores.opening import OpenStores, local_stores
from llmbatch_worker.work import utc


def measure(folder: str, source: str, url: str, in_flight: int, probed: bool = False) -> dict[str, Any]:
    """Plan, then time the shards. `probed`: also CPU time by stage, at a small cost."""
    job, plan = planned(folder, source, url, in_flight)
    if not probed:
        return asyncio.run(run_shards(job, plan))
    with Probes() as probes:
        timing = asyncio.run(run_shards(job, plan))
    return {**timing, "stages": probes.cpu_s}


def planned(folder: str, source: str, url: str, in_flight: int) -> tuple[Job, Plan]:
    """A job, and its plan."""
    job = make_job(Path(folder), Path(source), url, concurrency=in_flight)
    return job, make_plan(job.batch, LocalStore(job.store_uri), uid="bench", created_at=utc(time.time())).plan


async def run_shards(
    job: Job, plan: Plan, telemetry: Telemetry | None = None, stores: OpenStores | None = None
) -> dict[str, Any]:
    """All shards, timed."""
    stores = stores or local_stores(job.batch)
    spec = job.batch.spec
    progress = BatchProgress(plan.items, len(plan.shards))
    coordinator = Coordinator(spec.failure_policy, progress, EndpointShares(spec.endpoint.limits, time.monotonic()))
    queue = ShardQueue(range(len(plan.shards)))
    stretch = Stretch()
    link = DirectLink(coordinator, queue, StoreWaits(), "local-0")
    engine = Engine(
        job, plan, link, worker="local-0", telemetry=telemetry, stores=stores, troubles=stores.troubles
    )  # fmt: skip
    await engine.run()
    timing = stretch.end(plan.items)
    if progress.totals().succeeded != plan.items:
        raise RuntimeError(f"only {progress.totals().succeeded} of {plan.items} items succeeded")
    return timing
