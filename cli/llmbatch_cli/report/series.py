"""The counts of a batch over time, as charts need them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from llmbatch_cli.report.wording import when_of

PERCENTILES = ("p50", "p95", "p99")
Numbers = Sequence[float]
Gapped = Sequence[float | None]


@dataclass(frozen=True)
class Timeline:
    """`timeline` of a report."""

    start: datetime | None
    width_s: float
    succeeded: Numbers
    failed: Numbers
    attempts: Numbers
    input_tokens: Numbers
    output_tokens: Numbers
    latency_ms: dict[str, Gapped]
    """Percentiles, in buckets of their own."""
    latency_width_s: float

    @property
    def is_empty(self) -> bool:
        """Nothing has a time."""
        return not any(self.succeeded) and not any(self.failed) and not any(self.attempts)

    @property
    def seconds(self) -> float:
        """From the start to the last record."""
        return len(self.succeeded) * self.width_s

    def clock(self, second: float) -> str:
        """The time of day at a second, in UTC, with the day where there is more than one."""
        if self.start is None:
            return ""
        form = "%b %d, %H:%M:%S" if self.seconds > 43_200 else "%H:%M:%S"
        return (self.start + timedelta(seconds=second)).strftime(form)


def read_timeline(document: dict[str, Any]) -> Timeline:
    """The timeline of a report."""
    names = ("succeeded", "failed", "attempts", "input_tokens", "output_tokens")
    numbers: dict[str, Numbers] = {name: document[name] for name in names}
    start, width_s = when_of(document["started_at"]), document["bucket_seconds"]
    latency = document["latency_ms"]
    percentiles = {name: latency[name] for name in PERCENTILES}
    return Timeline(
        start=start, width_s=width_s, latency_ms=percentiles, latency_width_s=latency["bucket_seconds"], **numbers
    )


def running_sum(values: Numbers) -> list[float]:
    """Sums up to each edge of a bucket, from 0."""
    return [0, *accumulate(values)]


def per_minute(values: Numbers, width_s: float, window_s: float) -> list[float]:
    """Rates around the middle of each bucket: moving averages."""
    reach = max(0, round((window_s / width_s - 1) / 2))
    sums, count = running_sum(values), len(values)
    rates = []
    for i in range(count):
        first, last = max(0, i - reach), min(count, i + reach + 1)
        rates.append(60 * (sums[last] - sums[first]) / ((last - first) * width_s))
    return rates


def window_of(timeline: Timeline) -> float:
    """What rates are averaged over: a minute, as limits are; less if all took minutes, more if it took hours."""
    return max(timeline.width_s, min(60.0, timeline.seconds / 15), timeline.seconds / 100)
