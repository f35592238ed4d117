"""Engines in the test's own process, whose coordinators share one endpoint: what an operator does for its pods.

batch = OwnBatch(tmp_path / "one", shares, items=texts(100), url=sim.url, concurrency=4)
await asyncio.gather(batch.run("pod-0", shards=range(0, 5)), batch.run("pod-1", shards=range(5, 10)))
batch.records()                  of all items, by id
"""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from builders import Document, batch
from engine.local_run import FAST_RETRY, read_lines
from llmbatch_cli.running.links import DirectLink, ShardQueue, StoreWaits
from llmbatch_contract.coordination import Coordinator
from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan
from llmbatch_contract.progress import BatchProgress
from llmbatch_contract.reports import Reply, Report
from llmbatch_contract.sharing import EndpointShares
from llmbatch_worker.engine import Ended, Engine, StoreTroubles
from llmbatch_worker.planning.planner import make_plan
from llmbatch_worker.stores.local import LOCAL, LocalStore
from llmbatch_worker.stores.protocol import Stores
from llmbatch_worker.work import utc


class HeardLink(DirectLink):
    """Keeps the last that was said, and may be cut."""

    def __init__(self, coordinator: Coordinator, queue: ShardQueue, worker: str) -> None:
        super().__init__(coordinator, queue, StoreWaits(), worker)
        self.is_cut = False
        self.report: Report | None = None
        self.reply: Reply | None = None

    async def exchange(self, report: Report) -> Reply:
        if self.is_cut:
            raise ConnectionError("cut")
        self.report, self.reply = report, await super().exchange(report)
        return self.reply


class OwnWorkers:
    """The coordinator and the workers of a batch that is planned."""

    def __init__(
        self,
        job: Job,
        plan: Plan,
        shares: EndpointShares,
        *,
        stores: Stores = LOCAL,
        troubles: StoreTroubles | None = None,
    ) -> None:
        self.job, self.plan, self.batch = job, plan, job.batch
        self._stores, self._troubles = stores, troubles
        self.coordinator = Coordinator(
            self.batch.spec.failure_policy,
            BatchProgress(self.plan.items, len(self.plan.shards)),
            shares,
            namespace=plan.uid,
            batch=plan.uid,
            budget=self.batch.spec.budget,
            pricing=self.batch.spec.endpoint.pricing,
            report_every_s=0.2,
        )
        self.queue = ShardQueue(range(len(self.plan.shards)))
        self.links: dict[str, HeardLink] = {}
        self.engines: dict[str, Engine] = {}

    async def run(self, worker: str = "pod-0", shards: Iterable[int] | None = None) -> Ended:
        """One worker, on some of the shards or on all that nobody has taken."""
        queue = self.queue if shards is None else ShardQueue(shards)
        self.links[worker] = link = HeardLink(self.coordinator, queue, worker)
        self.engines[worker] = engine = Engine(
            self.job, self.plan, link,
            worker=worker, waits_for_endpoint=True, stores=self._stores, troubles=self._troubles,
        )  # fmt: skip
        return await engine.run()


class OwnBatch(OwnWorkers):
    """One batch in a folder, its coordinator and its workers."""

    def __init__(self, folder: Path, shares: EndpointShares, **fields: Any) -> None:
        """`fields` are those of `builders.batch`."""
        folder.mkdir()
        self._state = folder / "state"
        wanted = batch(**{"prompt": "{{ text }}", "retry": FAST_RETRY, "shardSize": 10, **fields})
        job = Job(batch=wanted, store_uri=self._state.as_uri(), output_uri=(folder / "out").as_uri())
        store = LocalStore(job.store_uri)
        super().__init__(job, make_plan(wanted, store, uid=folder.name, created_at=utc(time.time())).plan, shares)

    def records(self) -> dict[str, Document]:
        """All records, by id; fails if an item has two."""
        found: dict[str, Document] = {}
        for part in sorted(self._state.glob("shards/*/part-*")):
            for record in read_lines(part):
                assert record["id"] not in found
                found[record["id"]] = record
        return found
