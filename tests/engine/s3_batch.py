"""A batch whose input, working objects and outputs are all in one bucket, for tests of stores that fail.

batch = S3Batch(bucket, items, url=sim.url)     the input is there and planned
workers = batch.workers()                       engines in this process
async with batch.process("work") as process:    a worker, or finalize, in a process of its own, to be killed
batch.finalize()
batch.results()

As a program it is that process.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from builders import Document, batch
from engine.local_run import FAST_RETRY, environment
from engine.own_engines import OwnWorkers
from llmbatch_contract import layout
from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan
from llmbatch_contract.sharing import EndpointShares
from llmbatch_contract.spec import Limits
from llmbatch_worker.finalizing.finalizer import finalize
from llmbatch_worker.planning.planner import make_plan
from llmbatch_worker.stores import cloud
from llmbatch_worker.stores.opening import OpenStores, Troubles, local_stores
from llmbatch_worker.stores.protocol import Cadence, Stores
from s3_servers import Bucket

NOW = "2026-01-01T00:00:00.000Z"
QUICK = Cadence(every_s=0.2, least_records=20, at_most_s=0.4, mark_items=20, look_every_s=30.0)
"""Of an object store in these tests: many writes in little time."""


class S3Batch:
    """One batch in a bucket."""

    def __init__(self, bucket: Bucket, items: list[Document], *, uid: str = "u", **fields: Any) -> None:
        """`fields` are those of `builders.batch`."""
        self.bucket, self.items = bucket, items
        bucket.put("items.jsonl", b"".join(json.dumps(item).encode() + b"\n" for item in items))
        asked: Document = {"prompt": "{{ text }}", "retry": FAST_RETRY, "shardSize": 100, "concurrency": 8}
        output = {"uri": bucket.uri("out"), **fields.pop("output", {})}
        wanted = batch(uri=bucket.uri("items.jsonl"), output=output, **asked | fields)
        folder = layout.work_folder(bucket.uri("out"), uid)
        self.job = Job(batch=wanted, store_uri=folder, output_uri=bucket.uri("out"))
        stores = bucket.stores()
        self.plan = make_plan(wanted, stores.open(folder), uid=uid, created_at=NOW, stores=stores).plan

    def workers(self, through: Bucket | None = None) -> tuple[OwnWorkers, OpenStores]:
        """Engines of this process, and their stores: through a proxy, if one is given."""
        stores = (through or self.bucket).stores(Troubles(is_patient=True))
        return own_workers(self.job, self.plan, stores), stores

    @contextlib.asynccontextmanager
    async def process(self, what: str, through: Bucket | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
        """`work` or `finalize` in a process of its own; killed at the end of the block if it still runs."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, what, self.job.dump_json().decode(),
            env=environment() | (through or self.bucket).environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.communicate()

    def finalize(self, through: Bucket | None = None) -> Document:
        """Write the outputs; the summary."""
        return finalize(self.job, self.plan, stop=None, now=NOW, stores=(through or self.bucket).stores())

    def outputs(self) -> list[str]:
        """Names of what a user sees of the outputs."""
        names = (name.removeprefix("out/") for name in self.bucket.names() if name.startswith("out/"))
        return [name for name in names if not name.startswith("_")]

    def records(self, name: str = "results.jsonl") -> list[Document]:
        """Those of an output."""
        return [json.loads(line) for line in self.bucket.get(f"out/{name}").splitlines()]

    def written(self) -> list[int]:
        """Numbers of all records in parts, in order; twice those that are there twice."""
        parts = [name for name in self.bucket.names() if "/part-" in name]
        return sorted(json.loads(line)["index"] for part in parts for line in self.bucket.get(part).splitlines())


def own_workers(job: Job, plan: Plan, stores: OpenStores) -> OwnWorkers:
    """Engines of this process."""
    shares = EndpointShares(Limits(), time.monotonic())
    return OwnWorkers(job, plan, shares, stores=stores, troubles=stores.troubles)


def run_process(what: str, job: Job, stores: OpenStores) -> None:
    """What the process does."""
    plan = _plan(job, stores)
    stores.troubles.is_patient = True
    if what == "work":
        asyncio.run(own_workers(job, plan, stores).run())
    else:
        finalize(job, plan, stop=None, now=NOW, stores=stores)


def _plan(job: Job, stores: Stores) -> Plan:
    return Plan.load(stores.open(job.store_uri).read(layout.PLAN))


if __name__ == "__main__":
    vars(cloud)["CLOUD_CADENCE"] = QUICK
    given = Job.load(sys.argv[2].encode())
    run_process(sys.argv[1], given, local_stores(given.batch))
