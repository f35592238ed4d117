"""Keeps requests in flight: takes items and due retries, and passes them through the gate.

One dispatcher; every request is a task of its own, so a slow one holds back nobody. Retries go before new items as soon
as they are due. What waits for a retry is bounded: an endpoint that is down does not draw in the whole input. So is
what is held in memory, whatever the size of items, and what waits to be written: at the bound nothing new is sent.
"""

import asyncio
import heapq
import itertools
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from llmbatch_contract.categories import Category
from llmbatch_contract.reports import Demand, StopReason
from llmbatch_contract.trace import traceparent
from llmbatch_worker.asking import Asker, Question
from llmbatch_worker.classify import Failure
from llmbatch_worker.client import Client, NoResponse
from llmbatch_worker.feed import LEAST_WINDOW, MOST_WINDOW, Feed
from llmbatch_worker.judging import Judge, RetryLater
from llmbatch_worker.limits.gate import Gate, Pass
from llmbatch_worker.templates import RenderError
from llmbatch_worker.waiting import wait_for_event
from llmbatch_worker.work import Attempt, Work

_MOST_WAITING = 1000
_MOST_HELD_BYTES = 16 << 20
"""Of items in flight, or waiting for a retry. A request takes several times what its item does."""
DRAIN_S = 5.0


@dataclass
class Pool:
    """The requests of one worker."""

    uid: str
    trace_id: str
    asker: Asker
    client: Client
    gate: Gate
    feed: Feed
    judge: Judge
    wake: asyncio.Event
    """Set when there may be something to do."""
    on_stop: Callable[[StopReason], None]
    """Told of a failure on which the batch stops."""
    on_landed: Callable[[], None] = lambda: None
    """Called when a request has ended, with all that follows from it."""
    is_held: Callable[[], bool] = lambda: False
    """Nothing is to be sent at the moment; `wake` is set when that ends."""
    store_is_away: Callable[[], bool] = lambda: False
    """Nothing more can be read or written down; what is ready may be sent."""
    new_span_id: Callable[[], str] | None = None
    """For attempts, where there are spans; requests tell of them then."""
    stop: StopReason | None = None
    """The failure on which the batch stops."""
    _drain_s: float | None = None
    """Nothing new is sent, and what is in flight may end within so many seconds; None: not so."""
    _held_bytes: int = 0
    _at_gate: int = 0
    """Items that wait at the gate: one or none."""
    _waiting: list[tuple[float, int, Work, Category]] = field(default_factory=list)
    _order: "itertools.count[int]" = field(default_factory=itertools.count)
    _flying: set[asyncio.Task[None]] = field(default_factory=set)
    _failed: BaseException | None = None
    _sent_at: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_WINDOW))

    async def run(self) -> None:
        """Send until every item is done or the pool is stopped. Raises what attempts and reading raise."""
        try:
            while (work := await self._next()) is not None:
                await self._dispatch(work)
            if self._flying and self._drain_s is not None:
                await asyncio.wait(self._flying, timeout=self._drain_s)
        finally:
            await self.abort()
        if self._failed is not None:
            raise self._failed

    def stop_sending(self, drain_s: float = DRAIN_S) -> None:
        """Send nothing new; what is in flight may end within a few seconds."""
        self._drain_s = drain_s if self._drain_s is None else min(drain_s, self._drain_s)
        self.wake.set()
        self.gate.shut()

    def demand(self) -> Demand:
        """What could be used; less when only the last items are left, or no others can be had."""
        if self.is_held() or self._drain_s is not None:
            return self.gate.demand(0)
        is_all = self.feed.is_exhausted or self.store_is_away()
        return self.gate.demand(len(self._waiting) + self._at_gate + self.feed.read_ahead if is_all else None)

    @property
    def waiting_items(self) -> int:
        """How many items wait to be asked again."""
        return len(self._waiting)

    def waiting(self) -> dict[Category, int]:
        """Items that wait to be asked again, by the failure that they wait after."""
        return Counter(category for *_, category in self._waiting)

    async def abort(self) -> None:
        """End what is in flight at once."""
        for task in self._flying:
            task.cancel()
        if self._flying:
            await asyncio.wait(self._flying)
        await self.feed.close()

    async def _next(self) -> Work | None:
        """The next item to send; None when there is none and none will come."""
        while self._drain_s is None and self._failed is None:
            self.wake.clear()
            if self.is_held():
                await self.wake.wait()
                continue
            now = self.gate.now()
            is_due = bool(self._waiting) and self._waiting[0][0] <= now
            if is_due and not self.gate.probing.is_down:
                return heapq.heappop(self._waiting)[2]
            if self._has_room and (work := self.feed.take()) is not None:
                self._held_bytes += work.size
                return work  # an endpoint that is down is asked about new items first: others may break it
            if is_due:
                return heapq.heappop(self._waiting)[2]
            if self.feed.is_exhausted and not self._waiting and not self._flying:
                return None
            await wait_for_event(self.wake, self._waiting[0][0] - now if self._waiting else float("inf"))
        return None

    @property
    def _has_room(self) -> bool:
        return len(self._waiting) < _MOST_WAITING and self._held_bytes < _MOST_HELD_BYTES

    async def _dispatch(self, work: Work) -> None:
        try:
            question = self.asker.ask(work.item)
        except RenderError as error:
            self._bury(work, Failure(Category.TEMPLATE_ERROR, str(error)))
            return
        if (too_large := self.gate.estimate.too_large(question)) is not None:
            self._bury(work, Failure(Category.INVALID_REQUEST, too_large))
            return
        passed = None
        self._at_gate = 1
        try:
            passed = await self.gate.admit(question)
        finally:
            self._at_gate = 0
            if passed is None and work.attempts == 0:
                self.feed.give_back(work)
        if passed is None:
            return
        self._note_pace(passed.sent_at)
        task = asyncio.create_task(self._attempt(work, question, passed))
        self._flying.add(task)
        task.add_done_callback(self._landed)

    def _bury(self, work: Work, failure: Failure) -> None:
        self._held_bytes -= work.size
        self.judge.bury(work, failure)

    def _note_pace(self, now: float) -> None:
        """Read ahead about as much as is sent in a second."""
        self._sent_at.append(now)
        while self._sent_at[0] < now - 1.0:
            self._sent_at.popleft()
        self.feed.window = max(LEAST_WINDOW, self.gate.concurrency, len(self._sent_at))

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed = self._failed or error
        self.wake.set()
        self.on_landed()

    async def _attempt(self, work: Work, question: Question, passed: Pass) -> None:
        attempt = self._begin(work, passed)
        parent = traceparent(self.trace_id, attempt.span_id) if attempt.span_id else None
        try:
            response = await self.client.send(question.api, question.body, work.idempotency_key(self.uid), parent)
        finally:
            self.gate.leave(passed)
        attempt.latency_s = response.latency_s
        if isinstance(response, NoResponse):
            outcome = self.judge.no_response(work, passed, response)
        else:
            outcome = self.judge.response(work, question, passed, response)
        match outcome:
            case RetryLater(after_s, category):
                heapq.heappush(self._waiting, (self.gate.now() + after_s, next(self._order), work, category))
            case StopReason():
                self.stop = self.stop or outcome
                self.stop_sending()
                self.on_stop(outcome)
            case None:
                self._held_bytes -= work.size

    def _begin(self, work: Work, passed: Pass) -> Attempt:
        work.attempts += 1
        span_id = "" if self.new_span_id is None else self.new_span_id()
        work.attempt = attempt = Attempt(work.attempts, time.time(), passed.waited_s, span_id)
        work.first_attempt_at = work.first_attempt_at or attempt.started
        return attempt
