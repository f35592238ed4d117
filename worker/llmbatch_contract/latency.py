"""Percentiles that can be merged: counts in buckets that grow by a fixed factor.

Every worker sends such counts, whoever aggregates adds them up; a percentile is right within 4.5 %.
The scheme is that of OpenTelemetry's exponential histogram at scale 3 (base 2^(1/8)).
"""

import math
from collections.abc import Mapping

_PER_DOUBLING = 8

Latencies = dict[int, int]
"""How many answers took how long: bucket number to count."""


def count_latency(counts: Latencies, latency_ms: float) -> None:
    """Count one latency, in milliseconds."""
    bucket = math.ceil(_PER_DOUBLING * math.log2(max(latency_ms, 0.001)))
    counts[bucket] = counts.get(bucket, 0) + 1


def merge_latencies(counts: Latencies, more: Mapping[int, int]) -> None:
    """Add another's counts to `counts`."""
    for bucket, count in more.items():
        counts[bucket] = counts.get(bucket, 0) + count


def percentile_ms(counts: Mapping[int, int], share: float) -> float | None:
    """The latency in milliseconds that `share` (0 to 1) of all stay within; None when nothing was counted."""
    total = sum(counts.values())
    rank, seen = max(1, math.ceil(share * total)), 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank:
            return typical_ms(bucket)
    return None


def typical_ms(bucket: int) -> float:
    """The middle of a bucket, in milliseconds."""
    return float(2 ** ((bucket - 0.5) / _PER_DOUBLING))
