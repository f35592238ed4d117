"""Delivers the results of a batch, some requests at once, and notes how far it has come. Called by finalize."""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass

from llmbatch_contract.signing import KEY_IN_SECRET, KEY_SECRET, check_key
from llmbatch_contract.spec import Deliver
from llmbatch_contract.storage import place_of
from llmbatch_worker.delivering.marks import GivenUp, Marks, read_marks
from llmbatch_worker.delivering.posting import AT_ONCE, Pace, Poster, Settled, WaitingFor, nobody_hears
from llmbatch_worker.delivering.requests import BatchNames, Request, cut, request_id
from llmbatch_worker.delivering.trying import MOST_IN_A_ROW
from llmbatch_worker.delivering.undelivered import Between, write_undelivered
from llmbatch_worker.stores.protocol import Store

_MOST_AHEAD = 64
"""Requests beyond one that is tried again and again: so many may be posted twice after a restart."""
_MARK_REQUESTS = 64
_MARK_S = 5.0
_POLL_S = 0.25

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Results:
    """What there is to deliver."""

    batch: BatchNames
    items: int
    """Of the batch."""
    records: int
    """Those that are results."""
    between: Between


@dataclass(frozen=True)
class Delivered:
    """What came of it."""

    delivered: int
    undelivered: int
    requests: int
    why: str | None = None
    """The first reason why something is undelivered."""

    def row(self) -> dict[str, int | str]:
        """As it stands in the summary."""
        counts: dict[str, int | str] = {
            "delivered": self.delivered,
            "undelivered": self.undelivered,
            "requests": self.requests,
        }
        return counts if self.why is None else {**counts, "error": self.why}


def deliver(
    spec: Deliver,
    results: Results,
    working: Store,
    output: Store,
    undelivered_name: str,
    *,
    key: str | None,
    on_wait: Callable[[], None] = lambda: None,
    waiting_for: WaitingFor = nobody_hears,
    pace: Pace = Pace(),  # noqa: B008
) -> Delivered:
    """Post the results that no mark says are settled, and write what the receiver did not take into an output.

    `on_wait` is called some times a second and may raise; `waiting_for` hears of a receiver that does not take a
    request, in another thread. Raises StoreError.
    """
    if not results.records:
        return Delivered(0, 0, 0)
    marks = read_marks(working, spec.batch_size)
    if marks.next_item < results.items:
        if (why := _why_not(key)) is not None or key is None:
            marks.give_up(GivenUp(first=marks.next_item, last=results.items - 1, message=why or ""))
            marks.mark(marks.requests, results.items)
        else:
            _log.info("delivers results to %s, from item %d", place_of(spec.url), marks.next_item)
            with Poster(spec.url, key, pace, waiting_for=waiting_for) as poster:
                _Delivery(results, marks, poster, on_wait).run()
    lost = sorted(marks.given_up, key=lambda each: each.first)
    if not lost:
        return Delivered(results.records, 0, marks.requests)
    undelivered = write_undelivered(output, undelivered_name, lost, results.between, on_wait)
    why = lost[0].message
    _log.warning("%d results were not delivered: %s", undelivered, why)
    return Delivered(results.records - undelivered, undelivered, marks.requests, why)


def _why_not(key: str | None) -> str | None:
    """Why nothing can be signed; None: it can."""
    if not key:
        return f"nothing was posted: the Secret {KEY_SECRET} has no {KEY_IN_SECRET}"
    try:
        check_key(key)
    except ValueError as error:
        return f"nothing was posted: the signing key {error}"
    return None


class _Delivery:
    """One run of it."""

    def __init__(self, results: Results, marks: Marks, poster: Poster, on_wait: Callable[[], None]) -> None:
        self._results, self._marks, self._poster, self._on_wait = results, marks, poster, on_wait
        self._under_way: dict[Future[Settled], Request] = {}
        self._next_number, self._next_item = marks.requests, marks.next_item
        self._in_a_row = 0
        self._stopped: str | None = None
        """Why the rest is not posted."""
        self._marked_at = time.monotonic()

    def run(self) -> None:
        """All that is left."""
        for request in self._requests():
            self._wait_while(lambda number=request.number: not self._has_room(number))  # type: ignore[misc]
            if self._stopped is not None:
                break
            self._post(request)
        else:
            self._next_item = self._results.items
        self._wait_while(lambda: bool(self._under_way))
        if self._stopped is not None and self._next_item < self._results.items:
            last = self._results.items - 1
            self._marks.give_up(GivenUp(first=self._next_item, last=last, message=f"not posted: {self._stopped}"))
        self._marks.mark(self._next_number, self._results.items)

    def _requests(self) -> Iterator[Request]:
        lines = self._results.between(self._marks.next_item, self._results.items)
        return cut(lines, self._results.batch, self._marks.batch_size, self._marks.requests)

    def _has_room(self, number: int) -> bool:
        oldest = min((each.number for each in self._under_way.values()), default=number)
        return len(self._under_way) < AT_ONCE and number - oldest < _MOST_AHEAD

    def _post(self, request: Request) -> None:
        future = self._poster.post(request_id(self._results.batch, request.number), request.body)
        self._under_way[future] = request
        self._next_number, self._next_item = request.number + 1, request.last + 1

    def _wait_while(self, is_so: Callable[[], bool]) -> None:
        self._on_wait()
        while is_so():
            done = wait(self._under_way, _POLL_S, FIRST_COMPLETED).done
            for future in done:
                self._settle(self._under_way.pop(future), future.result())
            self._on_wait()
            self._mark_if_due()

    def _settle(self, request: Request, settled: Settled) -> None:
        if settled.why is None:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        self._marks.give_up(
            GivenUp(
                first=request.first,
                last=request.last,
                message=settled.why,
                status=settled.status,
                request=request.number,
            )
        )
        if self._stopped is None and (settled.is_gone or self._in_a_row >= MOST_IN_A_ROW):
            many = f"{self._in_a_row} requests in a row were given up, the last to "
            self._stopped = settled.why if settled.is_gone else many + settled.why
            self._poster.hurry()

    def _mark_if_due(self) -> None:
        """Tell what is settled without a gap."""
        oldest = min(self._under_way.values(), key=lambda each: each.number, default=None)
        number, item = (self._next_number, self._next_item) if oldest is None else (oldest.number, oldest.first)
        since_s = time.monotonic() - self._marked_at
        news = number - self._marks.requests
        if news >= _MARK_REQUESTS or (news and since_s >= _MARK_S):
            self._marks.mark(number, item)
            self._marked_at = time.monotonic()
