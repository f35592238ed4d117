"""A process that finalizes, to be killed: `python finalizing_process.py JOB`. It says when it begins and ends."""

import sys
from pathlib import Path

from llmbatch_contract.job import Job
from llmbatch_contract.layout import PLAN
from llmbatch_contract.plan import Plan
from llmbatch_worker.finalizing.finalizer import finalize
from llmbatch_worker.stores.opening import local_stores

NOW = "2026-01-01T00:01:00.000Z"


def main() -> None:
    """Finalize the job in the file that the argument names."""
    job = Job.load(Path(sys.argv[1]).read_bytes())
    stores = local_stores(job.batch)
    plan = Plan.load(stores.open(job.store_uri).read(PLAN))
    print("begins", flush=True)
    finalize(job, plan, stop=None, now=NOW, stores=stores)
    print("done", flush=True)


if __name__ == "__main__":
    main()
