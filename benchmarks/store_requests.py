"""How often a store is asked for each item, by the log of the store itself. Stores bill it, and bear only so much."""

import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from benchmarks import processes
from benchmarks.object_store import KINDS, ObjectStore, object_store
from benchmarks.sizes import Sizes
from benchmarks.tables import Section, Table
from benchmarks.workload import PROMPT_BYTES, job_in_store, text_of, write_jsonl

_LATENCY_MS = 200
_STAGES = {"plan": "planning", "shards": "shards", "finish": "finalize"}


def measure(sizes: Sizes) -> Section:
    """All stages of one batch at default settings, with everything in one bucket."""
    with (
        tempfile.TemporaryDirectory() as name,
        processes.simulator("--latency", f"{_LATENCY_MS}ms") as simulator,
        object_store(Path(name)) as store,
    ):
        uri = store.upload(write_jsonl(Path(name) / "i.jsonl", sizes.request_items, PROMPT_BYTES), "items.jsonl")
        job = text_of(job_in_store(store.bucket, uri, simulator.url, shardSize=1000))
        counted = {stage: _counted(stage, store, job) for stage in _STAGES}
    return Section("requests", (table(counted, sizes.request_items),))


def _counted(stage: str, store: ObjectStore, job: str) -> Counter[str]:
    start = store.log_size()
    processes.measure(stage, environment=store.environment, job=job)
    return store.requests(start, store.log_size())


def table(counted: Mapping[str, Counter[str]], items: int) -> Table:
    """Requests by stage and kind."""
    whole = sum(counted.values(), Counter[str]())
    kinds = [kind for kind in (*dict.fromkeys(KINDS.values()), "other") if whole[kind]]
    made = Table(
        f"Requests to S3 with {items:,} items, shards of 1,000, latency {_LATENCY_MS} ms, all other settings as they "
        "are by default:",
        ("stage", *kinds, "all", "an item", "target"),
    )
    for stage, name in _STAGES.items():
        made.rows.append((name, *_cells(counted[stage], kinds, items), ""))
    made.rows.append(("whole batch", *_cells(whole, kinds, items), "≤ 0.05"))
    return made


def _cells(counts: Counter[str], kinds: list[str], items: int) -> list[str]:
    return [*(f"{counts[kind]:,}" for kind in kinds), f"{counts.total():,}", f"{counts.total() / items:.4f}"]
