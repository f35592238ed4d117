"""What there is at the moment of an export: requests in flight, what may be used, what waits where."""

from collections.abc import Iterator
from dataclasses import dataclass

from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Meters, Point
from llmbatch_worker.feed import Feed
from llmbatch_worker.limits.gate import Gate
from llmbatch_worker.pool import Pool
from llmbatch_worker.progress_keeper import ProgressKeeper


@dataclass(frozen=True)
class Gauges:
    """Of one worker. Asked by the thread that exports: it only reads numbers and lengths."""

    meters: Meters
    gate: Gate
    feed: Feed
    pool: Pool
    keeper: ProgressKeeper

    def __call__(self) -> Iterator[Point]:
        point, grant = self.meters.point, self.gate.grant
        yield point(names.WORKER_IN_FLIGHT, self.gate.in_flight)
        yield point(names.WORKER_CONCURRENCY, self.gate.concurrency)
        for limit, value in (
            ("requests", grant.requests_per_minute),
            ("tokens", grant.tokens_per_minute),
            ("input_tokens", grant.input_tokens_per_minute),
            ("concurrency", grant.concurrency),
        ):
            if value is not None:
                yield point(names.WORKER_GRANT, value, limit)
        yield point(names.WORKER_BUFFER, self.feed.read_ahead, "read")
        yield point(names.WORKER_BUFFER, self.pool.waiting_items, "waiting")
        yield point(names.WORKER_BUFFER, self.keeper.unwritten, "unwritten")
