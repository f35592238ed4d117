"""A link to the coordinator, and how long its replies take."""

import time
from dataclasses import dataclass

from llmbatch_contract.reports import Reply, Report
from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Meters
from llmbatch_worker.link import Link


@dataclass(frozen=True)
class TimedLink:
    """The same Link, timed."""

    link: Link
    meters: Meters

    async def exchange(self, report: Report) -> Reply:
        """Send a report and wait for the reply."""
        started, error = time.perf_counter(), ""
        try:
            return await self.link.exchange(report)
        except ConnectionError:
            error = "connection"
            raise
        finally:
            self.meters.record(names.REPORT_DURATION, time.perf_counter() - started, error)

    async def next_shard(self) -> int | None:
        """A shard to work on."""
        return await self.link.next_shard()
