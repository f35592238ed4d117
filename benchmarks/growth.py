"""Peak memory of each stage in a process of its own, by the number of items: it must not grow with them."""

import tempfile
from pathlib import Path

from benchmarks import processes
from benchmarks.object_store import ObjectStore, object_store
from benchmarks.sizes import Sizes
from benchmarks.tables import Section, Table
from benchmarks.workload import NOWHERE, job_in_store, text_of, write_jsonl

_ITEM_BYTES = 200
_RECORD_BYTES = 400
_IN_FLIGHT = 64
_LARGEST_SHARD = 1_000_000
"""That a manifest may ask for."""


def measure(sizes: Sizes) -> Section:
    """All stages with every number of items; input, working objects and outputs are in one bucket."""
    table = Table(
        "Peak resident memory of each stage in a process of its own, items of 200 bytes and results of 400 in S3, in "
        "MB (10⁶ bytes):",
        ("items", "planning", "worker, all asked", "worker, one shard resumed", "finalize", "target"),
    )
    with processes.simulator() as simulator:
        for items in sizes.growth_items:
            with tempfile.TemporaryDirectory() as name, object_store(Path(name)) as store:
                table.rows.append((f"{items:,}", *_peaks(items, sizes, Path(name), store, simulator.url), "≤ 200"))
    return Section("growth", (table,))


def _peaks(items: int, sizes: Sizes, folder: Path, store: ObjectStore, url: str) -> tuple[str, str, str, str]:
    source = write_jsonl(folder / "items.jsonl", items, _ITEM_BYTES)
    uri = store.upload(source, "items.jsonl")
    source.unlink()
    asked = _asked(uri, store, url) if items <= sizes.growth_asked else ""
    resumed = _resumed(items, uri, store, url) if items <= _LARGEST_SHARD else ""
    job = text_of(job_in_store(store.bucket, uri, NOWHERE))
    planned = _peak("plan", store, job)
    _fill(store, job)
    return planned, asked, resumed, _peak("finish", store, job)


def _asked(uri: str, store: ObjectStore, url: str) -> str:
    job = text_of(job_in_store(store.bucket, uri, url, concurrency=_IN_FLIGHT))
    _peak("plan", store, job)
    peak = _peak("shards", store, job)
    store.clear("out/")
    return peak


def _resumed(items: int, uri: str, store: ObjectStore, url: str) -> str:
    """A shard of all items, of which one is left."""
    job = text_of(job_in_store(store.bucket, uri, url, shardSize=items))
    _peak("plan", store, job)
    _fill(store, job, without_last=True)
    peak = _peak("shards", store, job)
    store.clear("out/")
    return peak


def _fill(store: ObjectStore, job: str, *, without_last: bool = False) -> None:
    filled = {"job": job, "record_bytes": _RECORD_BYTES, "without_last": without_last}
    processes.measure("fill", environment=store.environment, **filled)


def _peak(stage: str, store: ObjectStore, job: str) -> str:
    return f"{processes.measure(stage, environment=store.environment, job=job)['peak_mb']:.0f}"
