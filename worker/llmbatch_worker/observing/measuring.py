"""Counts and measures the engine's events. An event listener, called for every request: it must be quick.

So an answer is only noted, and counted later together with others, at the latest when it is asked for. And it keeps
the series of its few histograms at hand, rather than to look them up among all meters, and tells of them when asked.
"""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import compress, groupby
from operator import add, itemgetter

from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Attributes, Histogram, Meters, Point
from llmbatch_worker.classify import Failure
from llmbatch_worker.events import AttemptFailed, Heard, ItemDone
from llmbatch_worker.observing.calls import Calls

_SUCCEEDED, _FAILED = "succeeded", "failed"
_ANSWERED = ("200", "")
_MOST_NOTED = 256

_Answer = tuple[Attributes, float, float, float, int, int]
"""Call; seconds of the last request, of waiting before it, and from the first one to the end; tokens in and out."""
_call_of = itemgetter(0)


@dataclass
class Measuring:
    """The metrics of one worker's requests and items."""

    meters: Meters
    calls: Calls
    clock: Callable[[], float] = time.time
    _noted: list[_Answer] = field(default_factory=list)
    """Answers that are not counted yet. Only the engine's thread appends."""
    _counting: threading.Lock = field(default_factory=threading.Lock)
    """Held by who changes or reads what follows."""
    _requests: Histogram = field(default_factory=lambda: Histogram(names.REQUEST_DURATION))
    """By status and category."""
    _waits: Histogram = field(default_factory=lambda: Histogram(names.LIMIT_WAIT))
    _tokens_in: Histogram = field(default_factory=lambda: Histogram(names.TOKEN_USAGE))
    _tokens_out: Histogram = field(default_factory=lambda: Histogram(names.TOKEN_USAGE))
    """By call."""
    _calls: defaultdict[str, Histogram] = field(
        default_factory=lambda: defaultdict(lambda: Histogram(names.CALL_DURATION))
    )
    """By category, each by call."""
    _items: Counter[str] = field(default_factory=Counter)
    """By category; of those that succeeded it is empty."""

    def __post_init__(self) -> None:
        self.meters.observe(self._points)

    @property
    def heard(self) -> Heard:
        """What this listens to."""
        return {AttemptFailed: self._attempt_failed, ItemDone: self._item_done}

    def _item_done(self, event: ItemDone) -> None:
        work, success = event.work, event.success
        attempt, noted = work.attempt, self._noted
        if success is None or attempt is None:
            self._item_failed(event)
            return
        call, usage = self.calls.of(work.item).series, success.answer.usage
        took_s = self.clock() - (work.first_attempt_at or 0.0)
        noted.append((call, attempt.latency_s, attempt.waited_s, took_s, usage.input, usage.output))
        if len(noted) >= _MOST_NOTED:
            with self._counting:
                self._count_noted()

    def _item_failed(self, event: ItemDone) -> None:
        assert "error" in event.record
        category, work = event.record["error"]["category"], event.work
        with self._counting:
            self._items[category] += 1
            if work.first_attempt_at is not None:
                took_s = max(0.0, self.clock() - work.first_attempt_at)
                self._calls[category].record(self.calls.of(work.item).series, took_s)

    def _attempt_failed(self, event: AttemptFailed) -> None:
        attempt, failure = event.work.attempt, event.failure
        assert attempt is not None
        with self._counting:
            self._requests.record(_status(failure), attempt.latency_s)
            self._waits.record((), attempt.waited_s)
            if failure.answer is not None and failure.answer.usage.total:
                call, usage = self.calls.of(event.work.item).series, failure.answer.usage
                self._tokens_in.record(call, usage.input)
                if usage.output:
                    self._tokens_out.record(call, usage.output)

    def _count_noted(self) -> None:
        """In any thread; more may be noted meanwhile."""
        noted = self._noted.copy()
        del self._noted[: len(noted)]
        noted.sort(key=_call_of)
        for call, answers in groupby(noted, _call_of):
            self._count(call, answers)

    def _count(self, call: Attributes, answers: Iterable[_Answer]) -> None:
        _, latency_s, waited_s, took_s, read, written = zip(*answers, strict=True)
        self._items[""] += len(took_s)
        self._requests.record_all(_ANSWERED, latency_s)
        self._waits.record_all((), waited_s)
        self._calls[""].record_all(call, took_s if min(took_s) >= 0 else (max(0.0, each) for each in took_s))
        self._tokens_in.record_all(call, compress(read, map(add, read, written)))
        self._tokens_out.record_all(call, filter(None, written))

    def _points(self) -> list[Point]:
        with self._counting:
            self._count_noted()
            return list(self._counted())

    def _counted(self) -> Iterator[Point]:
        start, server = self.meters.start, self.calls.server
        host, port = server.host, str(server.port)
        for (status, category), count in self._requests.counts().items():
            yield Point(names.WORKER_ATTEMPTS, (category or _SUCCEEDED, status), count, start)
        yield from self._requests.points(start, lambda key: ("POST", host, port, *key))
        yield from self._waits.points(start, lambda _: (host, port))
        yield from self._tokens_in.points(start, lambda call: (*call, "input"))
        yield from self._tokens_out.points(start, lambda call: (*call, "output"))
        for category, calls in self._calls.items():
            yield from calls.points(start, lambda call, category=category: (*call, category))  # type: ignore[misc]
        for category, items in self._items.items():
            yield Point(names.WORKER_ITEMS, (_FAILED if category else _SUCCEEDED, category), items, start)


def _status(failure: Failure) -> Attributes:
    """Of a request that failed."""
    return "" if failure.status is None else str(failure.status), failure.category.value
