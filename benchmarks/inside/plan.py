"""Planning alone."""

import time
from pathlib import Path
from typing import Any

from benchmarks.inside.timing import Stretch
from benchmarks.processes import memory_mb
from benchmarks.workload import job as make_job
from llmbatch_contract.layout import PLAN
from llmbatch_worker.planning.planner import make_plan
from llmbatch_worker.stores.local import LocalStore
from llmbatch_worker.stores.uris import local_path
from llmbatch_worker.work import utc

NOWHERE = "http://127.0.0.1:1/v1"
"""Nothing is sent."""


def measure(folder: str, source: str) -> dict[str, Any]:
    """Plan a file; the plan is left in the folder's store."""
    job = make_job(Path(folder), Path(source), NOWHERE)
    store = LocalStore(job.store_uri)
    (local_path(job.store_uri) / PLAN).unlink(missing_ok=True)  # of the round before
    stretch = Stretch()
    planned = make_plan(job.batch, store, uid="bench", created_at=utc(time.time()))
    timing = stretch.end(planned.plan.items, bytes=planned.plan.input.size)
    return {**timing, "peak_mb": memory_mb()[1]}
