"""The shards of a job that is planned already, asked by one worker."""

import asyncio
from typing import Any

from benchmarks.inside.engine import run_shards
from benchmarks.processes import memory_mb
from llmbatch_contract.job import Job
from llmbatch_contract.layout import PLAN
from llmbatch_contract.plan import Plan
from llmbatch_worker.stores.opening import local_stores


def measure(job: str) -> dict[str, Any]:
    """Ask about every item that has no record yet."""
    wanted = Job.load(job.encode())
    stores = local_stores(wanted.batch)
    plan = Plan.load(stores.open(wanted.store_uri).read(PLAN))
    timing = asyncio.run(run_shards(wanted, plan, stores=stores))
    return {**timing, "peak_mb": memory_mb()[1]}
