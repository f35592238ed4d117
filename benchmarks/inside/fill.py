"""Writes parts as shards would, without asking anybody: food for finalize."""

from pathlib import Path
from typing import Any

from benchmarks.inside.plan import NOWHERE
from benchmarks.workload import job as make_job
from llmbatch_contract.layout import PLAN
from llmbatch_contract.plan import Plan, Shard
from llmbatch_contract.records import ResultRecord
from llmbatch_worker.shardlog import Done, open_shard, shard_progress
from llmbatch_worker.stores.local import LocalStore

_AROUND_BYTES = 330
"""A record without its output."""


def measure(folder: str, source: str, record_bytes: int) -> dict[str, Any]:
    """A record for every item of the plan in the folder's store."""
    store = LocalStore(make_job(Path(folder), Path(source), NOWHERE).store_uri)
    plan = Plan.load(store.read(PLAN))
    output = ("The customer wants to know where the parcel is. " * (record_bytes // 40 + 1))[
        : max(1, record_bytes - _AROUND_BYTES)
    ]
    for shard in plan.shards:
        _fill(store, shard, output)
    return {"items": plan.items}


def _fill(store: LocalStore, shard: Shard, output: str) -> None:
    log = open_shard(store, shard, "bench", "2026-01-01T00:00:00.000Z")
    if isinstance(log, Done):
        return
    for number in range(shard.first_item, shard.first_item + shard.items):
        log.add(_record(number, output))
    taken = log.take()
    assert taken is not None
    log.write_part(taken)
    log.finish(shard_progress(shard, log.attempt, taken.tally, 0))


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
