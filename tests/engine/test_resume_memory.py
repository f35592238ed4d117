"""Resuming a shard takes memory for its largest part, and a byte for each of its items."""

import resource
import subprocess
import sys
from pathlib import Path

import orjson

from engine.far_store import FarStore, FarStores
from engine.hand_plan import NOW
from llmbatch_contract import layout
from llmbatch_contract.plan import Shard
from llmbatch_worker.shardlog import Claim, ShardLog, open_shard
from sharded import result

ITEMS, OF_A_PART = 100_000, 4_000


class _Written(FarStore):
    """Parts of records of 1 KB that are made when they are read: all but the last one of the shard."""

    def read(self, name: str) -> bytes:
        if "/part-" not in name:
            return super().read(name)
        first = OF_A_PART * int(name.removesuffix(".jsonl").rpartition("-")[2])
        records = (result(number, output="x" * 800) for number in range(first, first + OF_A_PART))
        return b"".join(orjson.dumps(record) + b"\n" for record in records)


def measure() -> None:
    """In a process of its own: resume, and tell what it found and how much memory it took."""
    far = FarStores()
    store = _Written(far, "s3://bucket")
    store.put(layout.claim(0, 1), Claim(worker="w", claimed_at=NOW).dump_json())
    store.put(layout.sent(0, 1, ITEMS), b"")
    for number in range(ITEMS // OF_A_PART - 1):
        store.put(layout.part(0, 1, number), b"")
    store.read(layout.part(0, 1, 0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    log = open_shard(store, Shard(0, 0, ITEMS, 0, 1000 * ITEMS), "w", NOW)
    assert isinstance(log, ShardLog)
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(log.recorded.count(1), log.progress.resent, grown_kb)


def test_resuming_a_large_shard_takes_hardly_any_memory() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "from engine.test_resume_memory import measure; measure()"],
        cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    recorded, resent, grown_kb = map(int, run.stdout.split())
    assert (recorded, resent) == (ITEMS - OF_A_PART, OF_A_PART)
    assert grown_kb < 30_000
