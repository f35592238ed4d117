"""How much of an endpoint's limit is used, and whether it is ever exceeded, by one worker and by several.

The simulator enforces the limit exactly, over a sliding window; what it counts is what is measured.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

from benchmarks import processes
from benchmarks.processes import SimulatorProcess
from benchmarks.sizes import Sizes
from benchmarks.tables import Section, Table
from benchmarks.workload import PROMPT_BYTES, write_jsonl, write_manifest

REQUESTS_PER_MINUTE = 6_000
TOKENS_PER_MINUTE = 2_000_000
_SETTLED_S = 1.0
_LOOK_EVERY_S = 0.2
_START_S = 30.0


@dataclass(frozen=True)
class _Limit:
    """One limit."""

    name: str
    """In the manifest."""
    option: str
    """Of the simulator."""
    per_minute: int
    counts: tuple[str, ...]
    """What of the simulator's statistics adds up to its use."""


_LIMITS = (
    _Limit("requestsPerMinute", "--requests-per-minute", REQUESTS_PER_MINUTE, ("requests",)),
    _Limit("tokensPerMinute", "--tokens-per-minute", TOKENS_PER_MINUTE, ("input_tokens", "output_tokens")),
)


@dataclass(frozen=True)
class _Look:
    """The simulator's statistics at one moment."""

    at: float
    """Unix time."""
    stats: dict[str, Any]

    @property
    def age_s(self) -> float:
        """Since the first request."""
        first = self.stats["first_request_at"]
        return self.at - first if first is not None else 0.0


def measure(sizes: Sizes) -> Section:
    """Every limit with every number of workers."""
    table = Table(
        f"The share of the limit used from second {_SETTLED_S:g} to {sizes.limits_s:g}, the endpoint's window being "
        f"{sizes.limit_window_s:g} s and its latency 50 ms:",
        ("limit", "workers", "share used", "target", "violations", "target"),
    )
    for limit in _LIMITS:
        for workers in sizes.workers:
            share, violations = _used(limit, workers, sizes)
            row = (f"{limit.name} {limit.per_minute:,}", str(workers), f"{100 * share:.1f} %", "≥ 98 %")
            table.rows.append((*row, f"{violations:,}", "0"))
    return Section("limits", (table,))


def _used(limit: _Limit, workers: int, sizes: Sizes) -> tuple[float, int]:
    """Share of the limit used, and violations."""
    options = (limit.option, str(limit.per_minute), "--limit-window", f"{sizes.limit_window_s:g}s", "--latency", "50ms")
    with tempfile.TemporaryDirectory() as name, processes.simulator(*options) as simulator:
        source = write_jsonl(Path(name) / "items.jsonl", _items(sizes), PROMPT_BYTES)
        endpoint = {"url": simulator.url, "limits": {limit.name: limit.per_minute}}
        manifest = write_manifest(Path(name), source, simulator.url, endpoint=endpoint, concurrency=64)
        arguments = ["-m", "llmbatch_cli.main", "run", str(manifest), "--workers", str(workers), "--output", "json"]
        with processes.process(arguments, None, DEVNULL) as run:
            first = _look_at(simulator, run, _SETTLED_S)
            last = _look_at(simulator, run, sizes.limits_s)
    return _share(limit, first, last), sum(last.stats["violations"].values())


def _items(sizes: Sizes) -> int:
    """More than can be sent, so that a run is ended in full flight."""
    return int(2 * REQUESTS_PER_MINUTE * (sizes.limits_s + 5) / 60)


def _look_at(simulator: SimulatorProcess, run: "Popen[str]", age_s: float) -> _Look:
    """The first look at or after an age."""
    give_up_at = time.monotonic() + age_s + _START_S
    while time.monotonic() < give_up_at:
        if run.poll() is not None:
            raise RuntimeError(f"llmbatch run ended too early, with exit code {run.returncode}")
        stats = simulator.stats()
        look = _Look(time.time(), stats)
        if look.age_s >= age_s:
            return look
        time.sleep(min(_LOOK_EVERY_S, max(0.01, age_s - look.age_s)))
    raise RuntimeError(f"no {age_s:g} s of requests came within the time for them")


def _share(limit: _Limit, first: _Look, last: _Look) -> float:
    used = sum(last.stats[name] - first.stats[name] for name in limit.counts)
    return float(used / (last.at - first.at) / (limit.per_minute / 60))
