"""The shards stage of one worker again, with telemetry as its variables are by default, or without."""

import asyncio
import time
from typing import Any

from benchmarks.inside.engine import planned, run_shards
from benchmarks.inside.timing import Stretch
from benchmarks.processes import memory_mb
from llmbatch_telemetry.starting import start_telemetry
from llmbatch_telemetry.telemetry import Telemetry

_CLOSE_S = 5.0
_READY_S = 0.3
_IDLE_S = 0.005


def measure(folder: str, source: str, url: str, in_flight: int, collector: str | None) -> dict[str, Any]:
    """Plan, then time the shards; what telemetry takes before and after them is measured apart."""
    job, plan = planned(folder, source, url, in_flight)
    begin = Stretch()
    telemetry = start_telemetry("llmbatch", {}, environment=_environment(collector))
    if telemetry.has_spans:
        _wait_until_ready(telemetry)
    started = begin.end(plan.items)
    timing = asyncio.run(run_shards(job, plan, telemetry))
    end = Stretch()
    telemetry.close(_CLOSE_S)
    ended = end.end(plan.items)
    once_s = started["cpu_s"] + ended["cpu_s"]
    return {**timing, "once_cpu_s": once_s, "end_s": ended["seconds"], "peak_mb": memory_mb()[1]}


def _environment(collector: str | None) -> dict[str, str]:
    return {} if collector is None else {"OTEL_EXPORTER_OTLP_ENDPOINT": collector}


def _wait_until_ready(telemetry: Telemetry) -> None:
    """What is imported beside the work the first time is not to be counted for each item."""
    telemetry.flush(_CLOSE_S)
    used_s = float("-inf")
    while time.process_time() - used_s > _IDLE_S:
        used_s = time.process_time()
        time.sleep(_READY_S)
