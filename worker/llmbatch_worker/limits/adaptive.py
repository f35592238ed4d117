"""Finds how many requests in flight an endpoint bears. Pure: time is an argument.

Grows while answers do not get slower, holds when they do, shrinks when the endpoint pushes back. Failures that were
sent before the last decrease say nothing new, so a burst of failures counts once (as in TCP's fast recovery, RFC 6582).
"""

import statistics

START = 8
MOST = 512
_SLOWER = 1.5
_MUCH_SLOWER = 2.5
_BACK_OFF = 0.7
_EASE = 0.9
_LEAST_SAMPLES = 16
_FAIR_TRY = 0.6
_HELPED = 0.9


class AdaptiveConcurrency:
    """The concurrency now, from latencies and push-back."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._limit = float(min(START, most))
        self._is_searching = True
        self._baseline_s: float | None = None
        self._easing_from: tuple[float, float] | None = None
        """Limit and median latency when answers became much slower."""
        self._settling = 0
        """Answers to pass over: they were asked for under the limit before."""
        self._latencies: list[float] = []
        self._peak_in_flight = 0
        self._last_decrease = float("-inf")

    @property
    def limit(self) -> int:
        """Requests that may be in flight."""
        return max(1, min(self.most, int(self._limit)))

    def answered(self, latency_s: float, in_flight: int) -> bool:
        """An answer took `latency_s`; `in_flight` requests were under way when it came. True if the limit shrank."""
        if self._settling > 0:
            self._settling -= 1
            return False
        self._latencies.append(latency_s)
        self._peak_in_flight = max(self._peak_in_flight, in_flight)
        if len(self._latencies) >= max(_LEAST_SAMPLES, self.limit):
            before = self._limit
            self._end_window()
            return self._limit < before
        return False

    def pushed_back(self, sent_at: float, now: float) -> bool:
        """The endpoint was too busy for a request sent at `sent_at`. True if this made the limit smaller."""
        if sent_at <= self._last_decrease:
            return False
        self._shrink(_BACK_OFF, now)
        self._last_decrease = now
        return True

    def _end_window(self) -> None:
        median = statistics.median(self._latencies)
        was_used = self._peak_in_flight >= self.limit
        self._latencies, self._peak_in_flight = [], 0
        if self._baseline_s is None or median < self._baseline_s:
            self._baseline_s = median
        ratio = median / max(self._baseline_s, 1e-6)
        if ratio > _SLOWER:
            self._is_searching = False
        if ratio > _MUCH_SLOWER:
            self._ease(median)
            return
        self._easing_from = None
        if ratio <= _SLOWER and was_used:
            self._grow()

    def _ease(self, median: float) -> None:
        """Shrink step by step, unless that does not make answers faster: then the endpoint is just slower now."""
        limit, before = self._easing_from = self._easing_from or (self._limit, median)
        if self._limit <= _FAIR_TRY * limit and median > _HELPED * before:
            self._baseline_s, self._easing_from = median, None
            return
        self._settling = self.limit
        self._limit = max(1.0, self._limit * _EASE)

    def _grow(self) -> None:
        self._settling = self.limit
        step = self._limit if self._is_searching else max(1.0, self._limit**0.5)
        self._limit = min(float(self.most), self._limit + step)

    def _shrink(self, factor: float, now: float) -> None:
        self._limit = max(1.0, self._limit * factor)
        self._is_searching = False
        self._latencies, self._peak_in_flight = [], 0
