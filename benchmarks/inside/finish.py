"""Finalize alone, over parts that are there already."""

import time
from typing import Any

from benchmarks.inside.timing import Stretch
from benchmarks.processes import memory_mb
from llmbatch_contract.job import Job
from llmbatch_contract.layout import PLAN
from llmbatch_contract.plan import Plan
from llmbatch_worker.finalizing.finalizer import SUMMARY_NAME, finalize
from llmbatch_worker.stores.opening import local_stores
from llmbatch_worker.work import utc


def measure(job: str) -> dict[str, Any]:
    """Write the outputs as the job wants them."""
    wanted = Job.load(job.encode())
    stores = local_stores(wanted.batch)
    plan = Plan.load(stores.open(wanted.store_uri).read(PLAN))
    stores.open(wanted.output_uri).remove([SUMMARY_NAME])  # of an earlier round: what is written is not written again
    stretch = Stretch()
    summary = finalize(wanted, plan, stop=None, now=utc(time.time()), stores=stores)
    results = summary["output"]["results"]
    return {**stretch.end(results["records"], bytes=results["bytes"]), "peak_mb": memory_mb()[1]}
