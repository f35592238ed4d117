"""What telemetry costs the engine: items a second, CPU and memory with the defaults on, against off."""

import tempfile
from functools import partial
from pathlib import Path

from benchmarks import processes
from benchmarks.rounds import Spread, Timing, cpu_ratio, cpu_us, interleaved, per_second, ratio
from benchmarks.sizes import Sizes
from benchmarks.tables import Section, Table
from benchmarks.workload import PROMPT_BYTES, write_jsonl

_IN_FLIGHT = 64
_NAMES = {"off": "telemetry off", "on": "spans and metrics by OTLP"}


def measure(sizes: Sizes) -> Section:
    """The engine with and without, in turns, and a collector that answers at once."""
    with tempfile.TemporaryDirectory() as name, processes.simulator() as simulator, processes.collector() as collector:
        folder = Path(name)
        source = write_jsonl(folder / "items.jsonl", sizes.telemetry_items, PROMPT_BYTES)
        measures = {
            "off": partial(_engine, folder, source, simulator.url, None),
            "on": partial(_engine, folder, source, simulator.url, collector),
        }
        taken = interleaved(measures, sizes.telemetry_repeats)
    return Section("telemetry", (_speeds(taken, sizes), _ratios(taken), _once(taken)))


def _engine(folder: Path, source: Path, url: str, collector: str | None) -> Timing:
    with tempfile.TemporaryDirectory(dir=folder) as own:
        return processes.measure(
            "told", folder=own, source=str(source), url=url, in_flight=_IN_FLIGHT, collector=collector
        )


def _speeds(taken: dict[str, list[Timing]], sizes: Sizes) -> Table:
    table = Table(
        f"The shards stage, {sizes.telemetry_items:,} items, latency 0 ms, {_IN_FLIGHT} in flight; OTLP over HTTP with "
        f"all settings as they are by default, so that 1,000 items and the slowest have spans. Median (least–most) of "
        f"{sizes.telemetry_repeats}:",
        ("engine", "items/s", "CPU µs/item", "peak MB"),
    )
    for key, name in _NAMES.items():
        timings = taken[key]
        peak = Spread.of([t["peak_mb"] for t in timings])
        table.rows.append((name, per_second(timings).text(), cpu_us(timings).text(), peak.text()))
    return table


def _ratios(taken: dict[str, list[Timing]]) -> Table:
    table = Table("On against off:", ("ratio", "items/s", "items per CPU second", "target"))
    speed, cpu = ratio(taken["on"], taken["off"]), cpu_ratio(taken["on"], taken["off"])
    table.rows.append(("on / off", speed.text(".2f"), cpu.text(".2f"), "≥ 0.92"))
    return table


def _once(taken: dict[str, list[Timing]]) -> Table:
    """What does not grow with the items."""
    table = Table(
        "What telemetry adds once to a process, whatever it does: importing OpenTelemetry, and the last export:",
        ("", "CPU s", "seconds at the end", "memory MB"),
    )
    cpu = Spread.of([t["once_cpu_s"] for t in taken["on"]])
    end = Spread.of([t["end_s"] for t in taken["on"]])
    pairs = zip(taken["on"], taken["off"], strict=True)
    memory = Spread.of([on["peak_mb"] - off["peak_mb"] for on, off in pairs])
    table.rows.append(("on", cpu.text(".2f"), end.text(".2f"), memory.text()))
    return table
