"""Planning alone."""

import time
from typing import Any

from benchmarks.inside.timing import Stretch
from benchmarks.processes import memory_mb
from llmbatch_contract.job import Job
from llmbatch_contract.layout import PLAN
from llmbatch_worker.planning.planner import make_plan
from llmbatch_worker.stores.opening import local_stores
from llmbatch_worker.work import utc


def measure(job: str, is_again: bool = False) -> dict[str, Any]:
    """Plan a job; the plan is left in its working store, in place of that of an earlier round."""
    wanted = Job.load(job.encode())
    stores = local_stores(wanted.batch)
    working = stores.open(wanted.store_uri)
    if is_again:
        working.remove([PLAN])
    stretch = Stretch()
    planned = make_plan(wanted.batch, working, uid="bench", created_at=utc(time.time()), stores=stores)
    timing = stretch.end(planned.plan.items, bytes=planned.plan.input.size)
    return {**timing, "peak_mb": memory_mb()[1]}
