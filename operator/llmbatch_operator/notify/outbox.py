"""What is to be delivered, and when: no I/O, and time is an argument.

The reconciler puts in what a status tells of and takes out what has become of it; the postman takes what is due. A
namespace has its own queue, so that a receiver that answers slowly holds up its own namespace alone.
"""

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from llmbatch_contract.holding import Occasion, Webhook
from llmbatch_contract.status import Delivery, LLMBatchStatus
from llmbatch_contract.webhook_answers import LONGEST_WAIT_S, Delivered, GiveUp, Outcome, TryAgain
from llmbatch_operator.facts import BatchRef
from llmbatch_operator.notify.occasions import notices_of
from llmbatch_operator.notify.payload import payload_of

PATIENCE_S = 3600.0
"""So long after the first try comes the last."""
_FIRST_WAIT_S = 1.0
_MOST_OUT = 32
_MOST_OUT_OF_NAMESPACE = 4
"""Deliveries under way at once."""
_MOST_OF_NAMESPACE = 1000
"""Deliveries that wait; what comes beyond is taken up when there is room."""
_KEPT = 20
"""Deliveries that a status tells of, beside those of what is still so."""


@dataclass
class Letter:
    """One delivery."""

    id: str
    ref: BatchRef
    url: str
    occasion: Occasion
    body: bytes
    tries: int = 0
    first_at: float = 0
    is_out: bool = False
    is_orphan: bool = False
    """Its batch is gone: one try is all that it gets."""


@dataclass(frozen=True)
class Settled:
    """A delivery that has come to its end."""

    letter: Letter
    why: str | None = None
    """It was given up; None: it has arrived."""


@dataclass
class _Batch:
    """What is known of a batch that has webhooks."""

    letters: dict[str, Letter] = field(default_factory=dict)
    settled: dict[str, Delivery] = field(default_factory=dict)
    open: frozenset[str] = frozenset()
    """Ids of all that is so now."""


@dataclass
class Outbox:
    """Deliveries of all batches."""

    chance: Callable[[], float] = random.random
    on_news: Callable[[], None] = lambda: None
    """Called when something may be due earlier than was said."""
    _batches: dict[str, _Batch] = field(default_factory=dict)
    _queues: dict[str, list[tuple[float, int, Letter]]] = field(default_factory=dict)
    _out: Counter[str] = field(default_factory=Counter)
    _waiting: Counter[str] = field(default_factory=Counter)
    _turned_away: dict[str, set[str]] = field(default_factory=dict)
    _keyless: dict[str, None] = field(default_factory=dict)
    _namespaces: set[str] = field(default_factory=set)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    # For the reconciler

    def noted(self, ref: BatchRef, status: LLMBatchStatus) -> LLMBatchStatus:
        """The status, and what has become of deliveries."""
        batch = self._batches.get(ref.uid)
        if batch is None or not batch.settled:
            return status
        told = {d.id: d for d in status.deliveries} | batch.settled
        past = [id_ for id_ in told if id_ not in batch.open]
        for id_ in past[:-_KEPT]:
            del told[id_]
            batch.settled.pop(id_, None)
        return status.model_copy(update={"deliveries": list(told.values())})

    def look(self, ref: BatchRef, webhooks: Sequence[Webhook], status: LLMBatchStatus, now: float) -> None:
        """Take in what a status that was written tells of; `now` is on the clock."""
        batch = self._batches.get(ref.uid)
        if not webhooks and batch is None:
            return
        if batch is None:
            batch = self._batches[ref.uid] = _Batch()
            self._want_key(ref.namespace, is_new=not status.phase.is_final)
        due = {
            notice.id_for(ref.uid, webhook.url): (notice, webhook.url)
            for notice in notices_of(status)
            for webhook in webhooks
            if notice.occasion in webhook.events
        }
        wanted = {(webhook.url, occasion) for webhook in webhooks for occasion in webhook.events}
        for letter in [each for each in batch.letters.values() if (each.url, each.occasion) not in wanted]:
            self._drop(letter)
        batch.open = frozenset(due)
        _forget_what_is_written(batch, status)
        done = {d.id for d in status.deliveries} | batch.settled.keys() | batch.letters.keys()
        for id_, (notice, url) in due.items():
            if id_ not in done:
                body = payload_of(id_, ref, notice, status).dump_json()
                self._put(Letter(id_, ref, url, notice.occasion, body, first_at=now), now)

    def forget(self, uid: str) -> None:
        """The batch is gone. What was never tried is tried once."""
        if (batch := self._batches.pop(uid, None)) is None:
            return
        for letter in list(batch.letters.values()):
            letter.is_orphan = True
            if letter.tries and not letter.is_out:
                self._drop(letter)

    # For the postman

    def next(self, now: float) -> Letter | None:
        """One that is due, to be delivered now and then settled; None: there is none, or enough are under way."""
        if self._out.total() >= _MOST_OUT:
            return None
        for namespace, queue in self._queues.items():
            while queue and queue[0][0] <= now and self._out[namespace] < _MOST_OUT_OF_NAMESPACE:
                letter = heapq.heappop(queue)[2]
                if self._is_wanted(letter):
                    self._queues[namespace] = self._queues.pop(namespace)  # the others come first now
                    self._out[namespace] += 1
                    letter.is_out, letter.tries = True, letter.tries + 1
                    return letter
        return None

    def wait_s(self, now: float) -> float | None:
        """Until another is due; None: nothing is, before there are news."""
        free = [q[0][0] for name, q in self._queues.items() if q and self._out[name] < _MOST_OUT_OF_NAMESPACE]
        return max(0.0, min(free) - now) if free and self._out.total() < _MOST_OUT else None

    def settle(self, letter: Letter, outcome: Outcome, now: float) -> Settled | None:
        """What came of a try; None if there will be another, or nobody wants to know."""
        self._out[letter.ref.namespace] -= 1
        letter.is_out = False
        self.on_news()
        match outcome:
            case Delivered():
                return self._settled(letter, None)
            case GiveUp(why):
                return self._settled(letter, f"{why}; {_tries(letter)}")
            case TryAgain(why, after_s):
                wait_s = max(after_s, self._wait_after(letter.tries))
                if letter.is_orphan or now + wait_s > letter.first_at + PATIENCE_S:
                    return self._settled(letter, f"{why}; {_tries(letter)}")
                if self._is_wanted(letter):
                    self._queue(letter, now + wait_s)
                return None

    def keyless(self) -> list[str]:
        """Namespaces whose Secret may not be there yet; each is named once."""
        names, self._keyless = list(self._keyless), {}
        return names

    def turned_away(self) -> set[str]:
        """Batches for whose letters there was no room, now that there is."""
        free = [name for name in self._turned_away if self._waiting[name] <= _MOST_OF_NAMESPACE // 2]
        return {uid for name in free for uid in self._turned_away.pop(name)}

    def __len__(self) -> int:
        return self._waiting.total()

    def _put(self, letter: Letter, now: float) -> None:
        namespace = letter.ref.namespace
        if self._waiting[namespace] >= _MOST_OF_NAMESPACE:
            self._turned_away.setdefault(namespace, set()).add(letter.ref.uid)
            return
        self._batches[letter.ref.uid].letters[letter.id] = letter
        self._waiting[namespace] += 1
        self._queue(letter, now)

    def _queue(self, letter: Letter, at: float) -> None:
        queue = self._queues.setdefault(letter.ref.namespace, [])
        heapq.heappush(queue, (at, next(self._numbers), letter))
        self.on_news()

    def _is_wanted(self, letter: Letter) -> bool:
        batch = self._batches.get(letter.ref.uid)
        return letter.is_orphan if batch is None else batch.letters.get(letter.id) is letter

    def _wait_after(self, tries: int) -> float:
        """Doubled at each try, and not the same for all that failed together."""
        return min(_FIRST_WAIT_S * 2.0 ** min(tries - 1, 16), LONGEST_WAIT_S) * (0.75 + self.chance() / 2)

    def _settled(self, letter: Letter, why: str | None) -> Settled | None:
        is_wanted, batch = self._is_wanted(letter), self._batches.get(letter.ref.uid)
        self._drop(letter)
        if batch is not None and is_wanted:
            event = letter.occasion.value
            batch.settled[letter.id] = Delivery(id=letter.id, event=event, delivered=why is None)
        return Settled(letter, why) if is_wanted else None

    def _drop(self, letter: Letter) -> None:
        """Nobody waits for it any more; one that is queued or under way is passed over when its turn comes."""
        if not self._is_wanted(letter):
            return
        if (batch := self._batches.get(letter.ref.uid)) is not None:
            del batch.letters[letter.id]
        letter.is_orphan = False
        self._waiting[letter.ref.namespace] -= 1
        if letter.ref.namespace in self._turned_away:
            self.on_news()

    def _want_key(self, namespace: str, *, is_new: bool) -> None:
        """The Secret of a namespace is there since an earlier batch, unless somebody has deleted it since."""
        if is_new or namespace not in self._namespaces:
            self._namespaces.add(namespace)
            self._keyless[namespace] = None
            self.on_news()


def _forget_what_is_written(batch: _Batch, status: LLMBatchStatus) -> None:
    written = {d.id for d in status.deliveries}
    batch.settled = {id_: d for id_, d in batch.settled.items() if id_ not in written}


def _tries(letter: Letter) -> str:
    return "1 try" if letter.tries == 1 else f"{letter.tries} tries"
