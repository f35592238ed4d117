"""Queues spans and sends them in a thread of its own. OpenTelemetry's processor is not used: its flush has no bound."""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence

from llmbatch_telemetry import names
from llmbatch_telemetry.exporting.outlets import SpanOutlet
from llmbatch_telemetry.meters import Point
from llmbatch_telemetry.settings import Queue
from llmbatch_telemetry.spans import Span

_log = logging.getLogger("llmbatch_telemetry.exporting")

_CHARACTERS_AT_ONCE = 1_000_000
"""Of a request: collectors take 4 MiB by gRPC, and spans with prompts and answers are long."""
_CHARACTERS_WAITING = 16_000_000


_Waiting = tuple[Span, int]
"""A span and its characters."""


class SpansSender:
    """A queue with a bound, and the thread that empties it."""

    def __init__(self, outlet: SpanOutlet, queue: Queue) -> None:
        self._outlet = outlet
        self._health = outlet.health
        self._queue = queue
        self._waiting: deque[_Waiting | threading.Event] = deque()
        """Spans, and the marks of those who wait until all before them are sent."""
        self._wake = threading.Event()
        self._change = threading.Condition()
        self._is_closing = False
        self._is_over = False
        self._put_characters = self._taken_characters = 0
        """Each is counted by one thread only."""
        self._lost_lock = threading.Lock()
        self._lost = 0
        self._in_flight = 0
        self._since = time.time()
        self._thread = threading.Thread(target=self._run, name="llmbatch-spans", daemon=True)
        self._thread.start()

    def put(self, span: Span) -> None:
        """Take a span; a full queue loses it."""
        waiting = self._waiting
        characters = _characters(span)
        is_full = self._put_characters + characters - self._taken_characters > _CHARACTERS_WAITING
        if len(waiting) >= self._queue.size or is_full or self._is_over:
            self._lose(1)
            return
        self._put_characters += characters
        waiting.append((span, characters))
        if len(waiting) >= self._queue.batch and not self._wake.is_set():
            self._wake.set()

    def points(self) -> Iterator[Point]:
        """How many were lost, when asked."""
        yield Point(names.DROPPED, ("spans",), self._lost, self._since)

    def flush(self, timeout_s: float) -> bool:
        """Whether all spans so far are sent, in time. A collector that fails is not waited for."""
        if self._health.is_failing or self._is_over:
            return not self._waiting
        mark = threading.Event()
        self._waiting.append(mark)
        self._wake.set()
        with self._change:
            self._change.wait_for(lambda: mark.is_set() or self._health.is_failing, timeout_s)
        return mark.is_set() and not self._health.is_failing

    def close(self, timeout_s: float) -> None:
        """Send what waits, then end; what is left then is lost."""
        self._is_closing = True
        self._wake.set()
        self._health.wait_for(self._thread, timeout_s)
        self._is_over = True
        self._health.end(self._thread)
        self._outlet.give_up()
        self._lose(self._in_flight + sum(1 for _ in self._take_all()))
        if self._lost:
            _log.warning("telemetry: %d spans were lost", self._lost)

    def _run(self) -> None:
        while not self._is_closing:
            self._wake.wait(self._queue.delay_s)
            self._wake.clear()
            self._send_waiting()
        self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting and not self._is_over:
            spans, mark = self._take()
            if spans:
                self._send_some(spans)
            if mark is not None:
                mark.set()
            with self._change:
                self._change.notify_all()

    def _send_some(self, spans: Sequence[Span]) -> None:
        self._in_flight = len(spans)
        taken = self._outlet.send(spans)
        if not self._is_over:
            self._lose(len(spans) - taken)
            self._in_flight = 0

    def _take(self) -> tuple[list[Span], threading.Event | None]:
        """As many spans as are sent at once, or those before the first mark, with it."""
        spans: list[Span] = []
        mark: threading.Event | None = None
        taken_characters = 0
        while self._waiting and len(spans) < self._queue.batch and taken_characters < _CHARACTERS_AT_ONCE:
            first = self._waiting.popleft()
            if isinstance(first, threading.Event):
                mark = first
                break
            span, characters = first
            spans.append(span)
            taken_characters += characters
        self._taken_characters += taken_characters
        return spans, mark

    def _take_all(self) -> Iterator[Span]:
        """The spans that still wait; the thread may be taking some, too."""
        while True:
            try:
                first = self._waiting.popleft()
            except IndexError:
                return
            if not isinstance(first, threading.Event):
                yield first[0]

    def _lose(self, count: int) -> None:
        if count:
            with self._lost_lock:
                self._lost += count


def _characters(span: Span) -> int:
    """About how long it is when it is sent, apart from what all spans have."""
    return sum(len(value) for value in span.attributes.values() if isinstance(value, str))
