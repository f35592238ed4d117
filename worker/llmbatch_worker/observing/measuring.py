"""Counts and measures the engine's events. An event listener, called for every request: it must be quick.

So it keeps the series of its few histograms at hand, rather than to look them up among all meters for each value, and
tells of them when it is asked.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Attributes, Histogram, Meters, Point
from llmbatch_worker.classify import Failure, Success
from llmbatch_worker.events import AttemptEnded, Heard, ItemDone
from llmbatch_worker.observing.calls import Calls

_SUCCEEDED, _FAILED = "succeeded", "failed"
_ANSWERED = ("200", "")


@dataclass
class Measuring:
    """The metrics of one worker's requests and items."""

    meters: Meters
    calls: Calls
    clock: Callable[[], float] = time.time
    _requests: Histogram = field(default_factory=lambda: Histogram(names.REQUEST_DURATION))
    """By status and category."""
    _waits: Histogram = field(default_factory=lambda: Histogram(names.LIMIT_WAIT))
    _tokens_in: Histogram = field(default_factory=lambda: Histogram(names.TOKEN_USAGE))
    _tokens_out: Histogram = field(default_factory=lambda: Histogram(names.TOKEN_USAGE))
    """By call."""
    _calls: dict[str, Histogram] = field(default_factory=dict)
    """By category, each by call."""
    _items: Counter[str] = field(default_factory=Counter)
    """By category; of those that succeeded it is empty."""

    def __post_init__(self) -> None:
        self.meters.observe(self._points)

    @property
    def heard(self) -> Heard:
        """What this listens to."""
        return {AttemptEnded: self._attempt_ended, ItemDone: self._item_done}

    def _attempt_ended(self, event: AttemptEnded) -> None:
        attempt, verdict = event.work.attempt, event.verdict
        assert attempt is not None
        self._requests.record(_ANSWERED if isinstance(verdict, Success) else _failure(verdict), attempt.latency_s)
        self._waits.record((), attempt.waited_s)
        answer = verdict.answer
        if answer is not None and answer.usage.total:
            call = self.calls.of(event.work.item).series
            self._tokens_in.record(call, answer.usage.input)
            if answer.usage.output:
                self._tokens_out.record(call, answer.usage.output)

    def _item_done(self, event: ItemDone) -> None:
        record, work = event.record, event.work
        category = record["error"]["category"] if "error" in record else ""
        self._items[category] += 1
        if work.first_attempt_at is None:
            return
        calls = self._calls.get(category)
        if calls is None:
            calls = self._calls[category] = Histogram(names.CALL_DURATION)
        calls.record(self.calls.of(work.item).series, max(0.0, self.clock() - work.first_attempt_at))

    def _points(self) -> Iterator[Point]:
        start, server = self.meters.start, self.calls.server
        host, port = server.host, str(server.port)
        for (status, category), count in self._requests.counts().items():
            yield Point(names.WORKER_ATTEMPTS, (category or _SUCCEEDED, status), count, start)
        yield from self._requests.points(start, lambda key: ("POST", host, port, *key))
        yield from self._waits.points(start, lambda _: (host, port))
        yield from self._tokens_in.points(start, lambda call: (*call, "input"))
        yield from self._tokens_out.points(start, lambda call: (*call, "output"))
        for category, calls in self._calls.copy().items():
            yield from calls.points(start, lambda call, category=category: (*call, category))  # type: ignore[misc]
        for category, items in self._items.copy().items():
            yield Point(names.WORKER_ITEMS, (_FAILED if category else _SUCCEEDED, category), items, start)


def _failure(failure: Failure) -> Attributes:
    return "" if failure.status is None else str(failure.status), failure.category.value
