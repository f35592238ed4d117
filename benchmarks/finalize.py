"""How fast finalize turns parts into outputs."""

import tempfile
from functools import partial
from pathlib import Path

from benchmarks import processes
from benchmarks.rounds import Timing, cpu_us, interleaved, per_second
from benchmarks.sizes import Sizes
from benchmarks.tables import Section, Table
from benchmarks.workload import job_of_form, text_of, write_jsonl

_ITEM_BYTES = 300
_RECORD_BYTES = 1000
_FORMS = ("jsonl", "csv")


def measure(sizes: Sizes) -> Section:
    """All output formats over the same parts."""
    with tempfile.TemporaryDirectory() as folder:
        source = write_jsonl(Path(folder) / "items.jsonl", sizes.finalize_items, _ITEM_BYTES)
        jobs = {f: text_of(job_of_form(Path(folder), source, f)) for f in _FORMS}
        processes.measure("plan", job=jobs["jsonl"])
        processes.measure("fill", job=jobs["jsonl"], record_bytes=_RECORD_BYTES)
        measures = {form: partial(processes.measure, "finish", job=job) for form, job in jobs.items()}
        taken = interleaved(measures, sizes.repeats)
    return Section("finalize", (_table(taken, sizes),))


def _table(taken: dict[str, list[Timing]], sizes: Sizes) -> Table:
    table = Table(
        f"{sizes.finalize_items:,} results of 1 KB, items of 300 bytes, one core, median (least–most) of "
        f"{sizes.repeats}:",
        ("output", "records/s", "MB/s of results", "CPU µs/record"),
    )
    for form, timings in taken.items():
        megabytes = per_second(timings, "bytes", 1e6)
        table.rows.append((form, per_second(timings).text(), megabytes.text(), cpu_us(timings).text(".1f")))
    return table
