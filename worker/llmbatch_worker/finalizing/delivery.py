"""Gives the results of a planned batch to `delivering`: read again from the parts, whatever form the outputs have."""

import bisect
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson

from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan
from llmbatch_contract.records import ResultRecord
from llmbatch_worker.delivering.deliverer import Delivered, Results, deliver
from llmbatch_worker.delivering.posting import WaitingFor, nobody_hears
from llmbatch_worker.delivering.requests import BatchNames, Line
from llmbatch_worker.finalizing.gathering import Gatherer
from llmbatch_worker.finalizing.names import UNDELIVERED_NAME
from llmbatch_worker.stores.protocol import Store


@dataclass(frozen=True)
class Way:
    """What delivering needs besides a batch."""

    key: str | None = None
    """What requests are signed with."""
    on_wait: Callable[[], None] = lambda: None
    """Called some times a second; may raise."""
    waiting_for: WaitingFor = nobody_hears
    """Hears, in another thread, of a receiver that does not take a request."""


def deliver_results(
    job: Job, plan: Plan, gatherer: Gatherer, working: Store, output: Store, *, records: int, way: Way
) -> Delivered | None:
    """Deliver them, if the batch says so; there are `records` of them. Raises StoreError."""
    spec, metadata = job.batch.spec.deliver, job.batch.metadata
    if spec is None:
        return None
    results = Results(
        BatchNames(namespace=metadata.namespace, name=metadata.name, uid=plan.uid),
        plan.items,
        records,
        lambda first, end: _lines(plan, gatherer, first, end),
    )
    return deliver(
        spec, results, working, output, UNDELIVERED_NAME,
        key=way.key, on_wait=way.on_wait, waiting_for=way.waiting_for,
    )  # fmt: skip


def _lines(plan: Plan, gatherer: Gatherer, first: int, end: int) -> Iterator[Line]:
    """The results of the items from `first` up to, not including, `end`."""
    start = bisect.bisect_right(plan.shards, first, key=lambda shard: shard.first_item) - 1
    for shard in plan.shards[max(0, start) :]:
        if shard.first_item >= end:
            return
        with contextlib.closing(gatherer.gather(shard)) as gathered:
            for record, _item, line in gathered.rows:
                if "error" not in record and first <= record["index"] < end:
                    yield Line(record["index"], record["id"], _data(record, line))


def _data(record: ResultRecord, line: bytes) -> bytes:
    """As in a results.jsonl, also where results are written in another form."""
    if "response" not in record:
        return line.rstrip(b"\n")
    return orjson.dumps({name: value for name, value in record.items() if name != "response"})
