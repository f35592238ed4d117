"""A whole job, from Parquet in S3 to Parquet in S3, beside the script that one writes for it; also killed half-way."""

import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import processes
from benchmarks.object_store import ObjectStore, object_store
from benchmarks.parquet_items import write_parquet
from benchmarks.processes import SimulatorProcess, Whole
from benchmarks.sizes import Sizes
from benchmarks.tables import Section, Table
from benchmarks.workload import PROMPT_BYTES, manifest

_LATENCY_MS = 20
_IN_FLIGHT = 64
_SOURCE, _SMALL_SOURCE = "items.parquet", "some.parquet"
_SMALL_SHARE = 10
_LOOK_EVERY_S = 0.01
_LONGEST_S = 600.0
_NAMES = {"ours": "`llmbatch run`", "script": "pandas, gather with openai.AsyncOpenAI"}


@dataclass(frozen=True)
class _Killed:
    """A job that was killed half-way, and run again."""

    asked_before: int
    """Requests until it was killed."""
    asked_in_all: int
    """Requests when it had ended at last."""


@dataclass(frozen=True)
class _Place:
    """Where a job runs."""

    folder: Path
    store: ObjectStore
    simulator: SimulatorProcess

    def command(self, who: str, run: str, source: str = _SOURCE) -> Sequence[str]:
        """A job whose output is told from that of others by the name of the run."""
        if who == "script":
            source_and_target = (source, f"{run}/results.parquet")
            named = (self.simulator.url, self.store.bucket.name, *source_and_target, str(_IN_FLIGHT))
            return ("-m", "benchmarks.inside.as_a_script", *named)
        place = self.folder / run
        place.mkdir(exist_ok=True)
        output = {"uri": self.store.bucket.uri(run), "format": "parquet", "includeInput": True}
        wanted = manifest(self.store.bucket.uri(source), self.simulator.url, "", output=output, concurrency=_IN_FLIGHT)
        (place / "batch.yaml").write_text(json.dumps(wanted))
        return ("-m", "llmbatch_cli.main", "run", str(place / "batch.yaml"))

    def asked(self) -> int:
        """Requests so far."""
        return int(self.simulator.stats()["requests"])

    def has_results(self, run: str) -> bool:
        """Whether a run has written its results."""
        return f"{run}/results.parquet" in self.store.bucket.names()


def measure(sizes: Sizes) -> Section:
    """Both from start to exit, then both killed when half of the items are asked."""
    with (
        tempfile.TemporaryDirectory() as name,
        processes.simulator("--latency", f"{_LATENCY_MS}ms") as simulator,
        object_store(Path(name)) as store,
    ):
        for source, items in ((_SOURCE, sizes.job_items), (_SMALL_SOURCE, sizes.job_items // _SMALL_SHARE)):
            store.upload(write_parquet(Path(name) / source, items, PROMPT_BYTES), source)
        place = _Place(Path(name), store, simulator)
        small = {who: _whole(place, who, "small", _SMALL_SOURCE) for who in _NAMES}
        whole = {who: _whole(place, who, "whole", _SOURCE) for who in _NAMES}
        killed = {who: _killed(place, who, sizes.job_items) for who in _NAMES}
    return Section("job", (_wholes(whole, small, sizes), _kills(killed, sizes)))


def _whole(place: _Place, who: str, size: str, source: str) -> Whole:
    run = f"{who}-{size}"
    whole = processes.time_process(list(place.command(who, run, source)), place.store.environment)
    if not place.has_results(run):
        raise RuntimeError(f"{_NAMES[who]} wrote no results")
    return whole


def _killed(place: _Place, who: str, items: int) -> _Killed:
    """Of the script nothing is run again: it would ask everything, unless it was quicker than the kill."""
    run, before = f"{who}-killed", place.asked()
    command = list(place.command(who, run))
    environment = place.store.environment
    with processes.process(command, processes.client_core(), subprocess.DEVNULL, environment=environment) as child:
        give_up_at = time.monotonic() + _LONGEST_S
        while place.asked() - before < items // 2 and child.poll() is None and time.monotonic() < give_up_at:
            time.sleep(_LOOK_EVERY_S)
        child.send_signal(signal.SIGKILL)
        if child.wait() > 0:
            raise RuntimeError(f"{_NAMES[who]} ended with exit code {child.returncode} before it was killed")
    asked = place.asked() - before
    if who == "script":
        return _Killed(asked, asked if place.has_results(run) else asked + items)
    processes.time_process(command, environment)
    return _Killed(asked, place.asked() - before)


def _wholes(whole: dict[str, Whole], small: dict[str, Whole], sizes: Sizes) -> Table:
    table = Table(
        f"{sizes.job_items:,} items, Parquet in S3 to Parquet in S3, latency {_LATENCY_MS} ms, {_IN_FLIGHT} in flight, "
        "one core, from start to exit:",
        ("job", "seconds", "CPU s", "peak MB", f"peak MB with {sizes.job_items // _SMALL_SHARE:,} items", "target"),
    )
    for who, taken in whole.items():
        target = "not slower" if who == "ours" else ""
        peaks = (f"{taken.peak_mb:.0f}", f"{small[who].peak_mb:.0f}")
        row = (f"{taken.seconds:.1f}", f"{taken.cpu_s:.1f}", *peaks)
        table.rows.append((_NAMES[who], *row, target))
    return table


def _kills(killed: dict[str, _Killed], sizes: Sizes) -> Table:
    table = Table(
        "The same killed (SIGKILL) when half of the items were asked, and run again:",
        ("job", "asked until then", "of these kept", "asked in all"),
    )
    for who, taken in killed.items():
        kept = taken.asked_before + sizes.job_items - taken.asked_in_all
        share = f"{kept:,} ({100 * kept / taken.asked_before:.0f} %)"
        table.rows.append((_NAMES[who], f"{taken.asked_before:,}", share, f"{taken.asked_in_all:,}"))
    return table
