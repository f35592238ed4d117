"""Finalize alone, over parts that are there already."""

import time
from pathlib import Path
from typing import Any

from benchmarks.inside.plan import NOWHERE
from benchmarks.inside.timing import Stretch
from benchmarks.processes import memory_mb
from benchmarks.workload import job as make_job
from llmbatch_contract.layout import PLAN
from llmbatch_contract.plan import Plan
from llmbatch_worker.finalizing.finalizer import finalize
from llmbatch_worker.stores.local import LocalStore
from llmbatch_worker.work import utc


def measure(folder: str, source: str, form: str) -> dict[str, Any]:
    """Write the outputs in a form: jsonl or csv."""
    output = {"uri": (Path(folder) / "out").as_uri(), "format": form}
    job = make_job(Path(folder), Path(source), NOWHERE, output=output)
    plan = Plan.load(LocalStore(job.store_uri).read(PLAN))
    stretch = Stretch()
    summary = finalize(job, plan, stop=None, now=utc(time.time()))
    results = summary["output"]["results"]
    return {**stretch.end(results["records"], bytes=results["bytes"]), "peak_mb": memory_mb()[1]}
