"""Peak memory of a whole run and of its stages, with few items and with many: it must not grow with their number."""

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.sizes import Sizes
from benchmarks.tables import Section, Table
from benchmarks.workload import job_of_form, text_of, write_jsonl, write_manifest

_ITEM_BYTES = 2000
_RECORD_BYTES = 1000
_IN_FLIGHT = 64
_MOST_MB = 150
_MOST_APART_MB = 20


@dataclass
class _Watched:
    """What was seen of a run, in MB."""

    curve: dict[int, tuple[float, float]] = field(default_factory=dict)
    """Resident memory and the peak so far, at each tenth of the shards stage."""
    peaks: dict[str, float] = field(default_factory=dict)
    """The peak so far at the last sight of each stage."""
    _stage: str = "planning"

    @property
    def peak_mb(self) -> float:
        return max(self.peaks.values())

    def see(self, line: dict[str, Any], now_mb: float, peak_mb: float) -> None:
        """A line of the run: a moment with its stage, or a message within the stage before."""
        self._stage = line.get("stage", self._stage)
        # The kernel's count is a little behind at times, so that a peak may seem to sink.
        self.peaks[self._stage] = max(peak_mb, *self.peaks.values(), 0.0)
        if self._stage == "running" and (items := line.get("items")) is not None and items["total"]:
            tenth = 10 * (items["succeeded"] + items["failed"]) // items["total"]
            self.curve.setdefault(tenth, (now_mb, peak_mb))


def measure(sizes: Sizes) -> Section:
    """Whole runs with few and with many items, then the stages that read and write everything, alone."""
    few = _whole(sizes.memory_few_items)
    many = _whole(sizes.memory_items)
    stages = _stages(sizes.memory_items)
    return Section("memory", (_peaks(few, many, sizes), _curve(many, sizes), _alone(stages, sizes)))


def _whole(items: int) -> _Watched:
    """`llmbatch run` from planning to finalize, one worker, the fastest endpoint."""
    seen = _Watched()
    with tempfile.TemporaryDirectory() as name, processes.simulator() as simulator:
        source = write_jsonl(Path(name) / "items.jsonl", items, _ITEM_BYTES)
        manifest = write_manifest(Path(name), source, simulator.url, concurrency=_IN_FLIGHT)
        arguments = ["-m", "llmbatch_cli.main", "run", str(manifest), "--output", "json"]
        with processes.process(arguments, processes.client_core()) as run:
            assert run.stdout is not None
            for line in run.stdout:
                seen.see(json.loads(line), *processes.memory_mb(run.pid))
            if run.wait() != 0:
                raise RuntimeError(f"llmbatch run ended with exit code {run.returncode}")
    return seen


def _stages(items: int) -> dict[str, float]:
    """Peaks of planning and of finalize in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        source = write_jsonl(Path(folder) / "items.jsonl", items, _ITEM_BYTES)
        jobs = {form: text_of(job_of_form(Path(folder), source, form)) for form in ("jsonl", "csv")}
        peaks = {"planning": processes.measure("plan", job=jobs["jsonl"])["peak_mb"]}
        processes.measure("fill", job=jobs["jsonl"], record_bytes=_RECORD_BYTES)
        for form, job in jobs.items():
            peaks[f"finalize, {form}"] = processes.measure("finish", job=job)["peak_mb"]
    return peaks


def _peaks(few: _Watched, many: _Watched, sizes: Sizes) -> Table:
    table = Table(
        "Peak resident memory of `llmbatch run`, one worker, items of 2 KB, in MB (10⁶ bytes), up to and with each "
        "stage:",
        ("items", "planning", "shards", "finalize", "peak", "target"),
    )
    for items, seen in ((sizes.memory_few_items, few), (sizes.memory_items, many)):
        cells = [f"{seen.peaks[s]:.0f}" if s in seen.peaks else "" for s in ("planning", "running", "finalizing")]
        table.rows.append((f"{items:,}", *cells, f"{seen.peak_mb:.0f}", f"≤ {_MOST_MB}"))
    table.rows.append(("difference", "", "", "", f"{many.peak_mb - few.peak_mb:+.0f}", f"within {_MOST_APART_MB}"))
    return table


def _curve(seen: _Watched, sizes: Sizes) -> Table:
    table = Table(
        f"The shards stage with {sizes.memory_items:,} items, at each tenth, in MB:",
        ("done", "resident", "peak so far"),
    )
    for tenth, (now_mb, peak_mb) in sorted(seen.curve.items()):
        table.rows.append((f"{10 * tenth} %", f"{now_mb:.0f}", f"{peak_mb:.0f}"))
    return table


def _alone(peaks: dict[str, float], sizes: Sizes) -> Table:
    table = Table(
        f"Stages in processes of their own, {sizes.memory_items:,} items of 2 KB and results of 1 KB:",
        ("stage", "peak MB"),
    )
    table.rows.extend((stage, f"{peak_mb:.0f}") for stage, peak_mb in peaks.items())
    return table
