"""What happened when: a batch's counts in buckets of equal width. Pure; part of `report.json`.

However long a batch took, there are at most 300 buckets: they start narrow, and neighbours are merged as the time gets
longer. A record counts when its item ended. A bucket is a Totals, so all of them together are those of the batch, and
each record is counted once.
"""

from datetime import datetime
from typing import Any

from llmbatch_contract.latency import Latencies, merge_latencies, percentile_ms
from llmbatch_contract.progress import Totals
from llmbatch_contract.records import Record

MOST_BUCKETS = 300
MOST_LATENCIES = 75
_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_TENTH = len("2026-01-01T00:00:00.0")
"""Moments are read up to here, as `work.utc` writes them: none of the buckets is narrower than a tenth of a second."""
_MOST_KNOWN = 2000


class Timeline:
    """Buckets from the start of a batch to its last record."""

    def __init__(self, started_at: str, ended_at: str) -> None:
        """Both are as `work.utc` writes them. A wrong clock cannot put a record before the one or after the other."""
        self._started_at = started_at
        self._start = datetime.fromisoformat(started_at[:_TENTH])
        self._length = max(0, self._tenths_until(ended_at[:_TENTH]))
        self._width = 1
        """Of a bucket, in tenths of a second."""
        self._buckets: list[Totals] = []
        self._undated = Totals()
        self._known: dict[str, Totals] = {}
        """Where moments belong, for several records have the same: reading it takes longer than finding it here."""

    def bucket(self, record: Record) -> Totals:
        """Where to count a record."""
        ended_at = record.get("completed_at") or record.get("failed_at")  # as ended_at_of, which takes a call
        if not isinstance(ended_at, str):
            return self._undated
        moment = ended_at[:_TENTH]
        found = self._known.get(moment)
        if found is None:
            found = self._bucket(min(max(self._tenths_until(moment), 0), self._length))
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[moment] = found
        return found

    def _tenths_until(self, moment: str) -> int:
        return round((datetime.fromisoformat(moment) - self._start).total_seconds() * 10)

    def _bucket(self, tenths: int) -> Totals:
        while (number := tenths // self._width) >= MOST_BUCKETS:
            self._widen()
        while number >= len(self._buckets):
            self._buckets.append(Totals())
        return self._buckets[number]

    def _widen(self) -> None:
        """Merge each bucket with its neighbour."""
        self._width *= 2
        self._known.clear()
        for kept, later in zip(self._buckets[::2], self._buckets[1::2], strict=False):
            kept.add(later)
        self._buckets = self._buckets[::2]

    def add_to(self, totals: Totals) -> None:
        """Add what all buckets hold."""
        for bucket in (*self._buckets, self._undated):
            totals.add(bucket)

    def document(self) -> dict[str, Any]:
        """As it stands in the report: a list for each number, a value for each bucket."""
        buckets = self._buckets
        return {
            "started_at": self._started_at,
            "bucket_seconds": self._width / 10,
            "succeeded": [b.succeeded for b in buckets],
            "failed": [b.failed - b.cancelled for b in buckets],
            "cancelled": [b.cancelled for b in buckets],
            "attempts": [b.attempts for b in buckets],
            "input_tokens": [b.usage.input for b in buckets],
            "output_tokens": [b.usage.output for b in buckets],
            "latency_ms": self._latencies(),
            "undated": self._undated.finished,
        }

    def _latencies(self) -> dict[str, Any]:
        """Percentiles of several buckets together: those of a few requests jump about."""
        size = -(-len(self._buckets) // MOST_LATENCIES) or 1
        merged = [_latencies_of(self._buckets[i : i + size]) for i in range(0, len(self._buckets), size)]
        percentiles = {
            name: [_rounded(percentile_ms(m, share)) for m in merged] for name, share in _PERCENTILES.items()
        }
        return {"bucket_seconds": size * self._width / 10, **percentiles}


def ended_at_of(record: Record) -> str | None:
    """When the item ended; None for a record that does not say."""
    when = record.get("completed_at") or record.get("failed_at")
    return when if isinstance(when, str) else None


def _latencies_of(buckets: list[Totals]) -> Latencies:
    merged: Latencies = {}
    for bucket in buckets:
        merge_latencies(merged, bucket.latency)
    return merged


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
