"""How long finalize takes to write results into a store, and how much memory it takes."""

import tempfile
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.object_store import object_store
from benchmarks.rounds import Timing
from benchmarks.sizes import Sizes
from benchmarks.tables import Section, Table
from benchmarks.workload import NOWHERE, job_in_store, text_of, write_jsonl

_ITEM_BYTES = 300
_RECORD_BYTES = 1000
_FORMS: dict[str, dict[str, Any]] = {
    "jsonl, merged": {"format": "jsonl", "layout": "merged"},
    "jsonl, sharded": {"format": "jsonl", "layout": "sharded"},
    "parquet, merged": {"format": "parquet", "layout": "merged"},
    "csv, merged": {"format": "csv", "layout": "merged"},
}


def measure(sizes: Sizes) -> Section:
    """All forms of the output over the same parts; input, parts and output are in one bucket."""
    table = Table(
        f"{sizes.sink_items:,} results of 1 KB from S3 to S3, items of 300 bytes, one core:",
        ("output", "seconds", "records/s", "CPU µs/record", "peak MB", "target"),
    )
    with tempfile.TemporaryDirectory() as name, object_store(Path(name)) as store:
        source = write_jsonl(Path(name) / "items.jsonl", sizes.sink_items, _ITEM_BYTES)
        uri = store.upload(source, "items.jsonl")
        source.unlink()
        jobs = {form: text_of(job_in_store(store.bucket, uri, NOWHERE, output=f)) for form, f in _FORMS.items()}
        processes.measure("plan", environment=store.environment, job=jobs["jsonl, merged"])
        filled = {"job": jobs["jsonl, merged"], "record_bytes": _RECORD_BYTES}
        processes.measure("fill", environment=store.environment, **filled)
        for form, job in jobs.items():
            table.rows.append(_row(form, processes.measure("finish", environment=store.environment, job=job)))
            store.clear("out/results")
    return Section("sinks", (table,))


def _row(form: str, taken: Timing) -> tuple[str, ...]:
    seconds, items = taken["seconds"], taken["items"]
    cpu_us = 1e6 * taken["cpu_s"] / items
    figures = (f"{seconds:.1f}", f"{items / seconds:,.0f}", f"{cpu_us:.1f}", f"{taken['peak_mb']:.0f}")
    return (form, *figures, "≤ 60 s, ≤ 200 MB")
