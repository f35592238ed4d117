"""Writes parts as shards would, without asking anybody: food for finalize."""

from typing import Any

from llmbatch_contract.job import Job
from llmbatch_contract.layout import PLAN
from llmbatch_contract.plan import Plan, Shard
from llmbatch_contract.progress import Totals
from llmbatch_contract.records import ResultRecord
from llmbatch_worker.shardlog import PART_BYTES, Done, ShardLog, open_shard, shard_progress
from llmbatch_worker.stores.opening import local_stores
from llmbatch_worker.stores.protocol import Store

_AROUND_BYTES = 330
"""A record without its output."""


def measure(job: str, record_bytes: int, without_last: bool = False) -> dict[str, Any]:
    """A record for every item of the plan. `without_last`: the last item is still to be asked."""
    wanted = Job.load(job.encode())
    store = local_stores(wanted.batch).open(wanted.store_uri)
    plan = Plan.load(store.read(PLAN))
    output = ("The customer wants to know where the parcel is. " * (record_bytes // 40 + 1))[
        : max(1, record_bytes - _AROUND_BYTES)
    ]
    for shard in plan.shards:
        _fill(store, shard, output, shard.items - (without_last and shard is plan.shards[-1]))
    return {"items": plan.items}


def _fill(store: Store, shard: Shard, output: str, items: int) -> None:
    log = open_shard(store, shard, "bench", "2026-01-01T00:00:00.000Z")
    if isinstance(log, Done):
        return
    tally = Totals()
    for number in range(shard.first_item, shard.first_item + items):
        log.add(_record(number, output))
        if log.buffered_bytes >= PART_BYTES:
            _write(log, tally)
    _write(log, tally)
    if items == shard.items:
        log.finish(shard_progress(shard, log.attempt, tally, 0))


def _write(log: ShardLog, tally: Totals) -> None:
    while (taken := log.take()) is not None:
        log.write_part(taken)
        tally.add(taken.tally)


def _record(number: int, output: str) -> ResultRecord:
    return {
        "id": f"item-{number:08d}",
        "index": number,
        "output": output,
        "finish_reason": "stop",
        "model": "m",
        "usage": {"input_tokens": 300, "output_tokens": 200, "cached_tokens": 0, "reasoning_tokens": 0},
        "attempts": 1,
        "latency_ms": 100.0 + number % 900,
        "completed_at": "2026-01-01T00:00:00.000Z",
        "trace_id": "0" * 31 + "1",
    }
