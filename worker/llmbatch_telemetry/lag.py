"""How late the event loop comes to its tasks: what makes everything else in a process late."""

import asyncio

from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Meters

_INTERVAL_S = 1.0


async def watch_loop(meters: Meters, interval_s: float = _INTERVAL_S) -> None:
    """Measure at an interval, until cancelled. Returns at once where nothing is counted."""
    loop = asyncio.get_running_loop()
    while meters.is_on:
        asked_for = loop.time() + interval_s
        await asyncio.sleep(interval_s)
        meters.record(names.LOOP_LAG, max(loop.time() - asked_for, 0.0))
