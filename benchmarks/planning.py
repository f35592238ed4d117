"""How fast planning reads its input, beside the plainest loop that reads the same file."""

import tempfile
from functools import partial
from pathlib import Path

from benchmarks import processes
from benchmarks.rounds import Timing, interleaved, per_second, ratio
from benchmarks.sizes import Sizes
from benchmarks.tables import Section, Table
from benchmarks.workload import NOWHERE, job, text_of, write_csv, write_gzip, write_jsonl

_ITEM_BYTES = 2000
_TARGETS = {"jsonl": "≥ 80 MB/s", "csv": "", "gzip": ""}
_LOOPS = {"jsonl": "orjson.loads(line)", "csv": "csv.reader", "gzip": "gzip, orjson.loads(line)"}


def measure(sizes: Sizes) -> Section:
    """All formats."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = _sources(folder, sizes.planning_items)
        measures = {}
        for form, source in sources.items():
            measures[form] = partial(
                processes.measure, "plan", job=text_of(job(folder, source, NOWHERE)), is_again=True
            )
            measures[f"{form} loop"] = partial(processes.measure, "reading", source=str(source), form=form)
        taken = interleaved(measures, sizes.repeats)
    return Section("planning", (_table(taken, sizes),))


def _sources(folder: Path, items: int) -> dict[str, Path]:
    jsonl = write_jsonl(folder / "items.jsonl", items, _ITEM_BYTES)
    csv = write_csv(folder / "items.csv", items, _ITEM_BYTES)
    return {"jsonl": jsonl, "csv": csv, "gzip": write_gzip(folder / "items.jsonl.gz", jsonl)}


def _table(taken: dict[str, list[Timing]], sizes: Sizes) -> Table:
    table = Table(
        f"{sizes.planning_items:,} items of 2 KB, one core, MB (10⁶ unpacked bytes) a second, median (least–most) of "
        f"{sizes.repeats}:",
        ("input", "make_plan", "bare loop", "loop", "make_plan / loop", "target"),
    )
    for form, target in _TARGETS.items():
        plan, loop = taken[form], taken[f"{form} loop"]
        plan_mb, loop_mb = (per_second(t, "bytes", 1e6).text() for t in (plan, loop))
        table.rows.append((form, plan_mb, loop_mb, f"`{_LOOPS[form]}`", ratio(plan, loop).text(".2f"), target))
    return table
