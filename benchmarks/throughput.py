"""Items a second and CPU per item of the engine, beside a bare loop of its HTTP client and beside what people write."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.processes import SimulatorProcess
from benchmarks.rounds import Spread, Timing, cpu_ratio, cpu_us, interleaved, per_second, ratio
from benchmarks.sizes import Sizes
from benchmarks.tables import Section, Table
from benchmarks.workload import PROMPT_BYTES, write_jsonl, write_manifest

_IN_FLIGHT = 64
_STAGES = ("read input", "render", "gate", "send", "classify", "record", "write", "rest")
_NAMES = {
    "bare": "bare loop of the engine's HTTP client",
    "engine": "engine, shards stage",
    "run": "whole `llmbatch run`",
    "httpx": "httpx.AsyncClient, gather",
    "openai": "openai.AsyncOpenAI, gather",
}
_RATIOS = (
    ("engine", "bare", "≥ 0.60"),
    ("engine", "httpx", "≥ 3"),
    ("engine", "openai", "> 1"),
)


def measure(sizes: Sizes) -> Section:
    """All clients, at every latency."""
    tables: list[Table] = []
    for latency_ms in sizes.latencies_ms:
        taken = _at_latency(sizes, latency_ms)
        tables += [_speeds(taken, sizes, latency_ms), _ratios(taken, latency_ms)]
        if latency_ms == sizes.latencies_ms[0]:
            tables.append(_stages(taken["probed"], latency_ms))
    return Section("throughput", tuple(tables))


def _at_latency(sizes: Sizes, latency_ms: int) -> dict[str, list[Timing]]:
    with tempfile.TemporaryDirectory() as name, processes.simulator("--latency", f"{latency_ms}ms") as simulator:
        folder = Path(name)
        source = write_jsonl(folder / "items.jsonl", sizes.throughput_items, PROMPT_BYTES)
        asked: dict[str, Any] = {"url": simulator.url, "items": sizes.throughput_items, "in_flight": _IN_FLIGHT}
        measures = {
            "bare": partial(processes.measure, "bare", **asked),
            "engine": partial(_engine, folder, source, simulator.url, probed=False),
            "run": partial(_run, folder, source, simulator.url, sizes.throughput_items),
            "httpx": partial(processes.measure, "with_httpx", **asked),
            "openai": partial(processes.measure, "with_openai", **asked),
            "probed": partial(_engine, folder, source, simulator.url, probed=True),
        }
        watched = {name: partial(_watched, simulator, measure) for name, measure in measures.items()}
        return interleaved(watched, sizes.repeats)


def _engine(folder: Path, source: Path, url: str, *, probed: bool) -> Timing:
    with tempfile.TemporaryDirectory(dir=folder) as own:
        return processes.measure(
            "engine", folder=own, source=str(source), url=url, in_flight=_IN_FLIGHT, probed=probed
        )  # fmt: skip


def _run(folder: Path, source: Path, url: str, items: int) -> Timing:
    with tempfile.TemporaryDirectory(dir=folder) as own:
        manifest = write_manifest(Path(own), source, url, concurrency=_IN_FLIGHT)
        whole = processes.time_command(["run", str(manifest)])
    return {"items": items, "seconds": whole.seconds, "cpu_s": whole.cpu_s}


def _watched(simulator: SimulatorProcess, measure: Any) -> Timing:
    """A measurement, and how busy the simulator was: near 100 %, it is the simulator that was measured."""
    before = simulator.cpu_s()
    timing: Timing = measure()
    return {**timing, "busy": (simulator.cpu_s() - before) / timing["seconds"]}


def _speeds(taken: dict[str, list[Timing]], sizes: Sizes, latency_ms: int) -> Table:
    table = Table(
        f"Latency {latency_ms} ms, {sizes.throughput_items:,} items, {_IN_FLIGHT} in flight, median (least–most) of "
        f"{sizes.repeats}:",
        ("client", "items/s", "CPU µs/item", "simulator's core busy"),
    )
    for key, name in _NAMES.items():
        timings = taken[key]
        busy = Spread.of([100 * t["busy"] for t in timings])
        table.rows.append((name, per_second(timings).text(), cpu_us(timings).text(), f"{busy.median:.0f} %"))
    return table


def _ratios(taken: dict[str, list[Timing]], latency_ms: int) -> Table:
    table = Table(f"Latency {latency_ms} ms, ratios:", ("ratio", "items/s", "items per CPU second", "target"))
    for one, other, target in _RATIOS:
        speed, cpu = ratio(taken[one], taken[other]), cpu_ratio(taken[one], taken[other])
        table.rows.append((f"{one} / {other}", speed.text(".2f"), cpu.text(".2f"), target))
    return table


def _stages(timings: list[Timing], latency_ms: int) -> Table:
    """CPU by stage. The rest is the event loop, sockets, tasks and reports."""
    table = Table(f"Latency {latency_ms} ms, the engine's CPU by stage:", ("stage", "CPU µs/item", "share"))
    whole = cpu_us(timings).median
    for stage in _STAGES:
        spread = Spread.of([_stage_us(t, stage) for t in timings])
        table.rows.append((stage, spread.text(".1f"), f"{100 * spread.median / whole:.0f} %"))
    return table


def _stage_us(timing: Timing, stage: str) -> float:
    stages = timing["stages"]
    cpu_s = stages.get(stage, 0.0) if stage != "rest" else timing["cpu_s"] - sum(stages.values())
    return float(1e6 * cpu_s / timing["items"])
