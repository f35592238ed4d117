"""What each worker may be using, so that all together never may use more than there is. Pure.

A worker may use an old grant until it says that it holds a later one; so what it may be using is the largest of those.
An increase is cut to what is left beside everybody else's. Who is not heard any more keeps what it has until its lease
is over: it stops by itself when it has had no reply for so long.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from llmbatch_contract.reports import LEASE_S, Grant
from llmbatch_contract.sharing.amounts import (
    ALL,
    CONCURRENCY,
    EVERYTHING,
    INPUT_TOKENS,
    NOTHING,
    REQUESTS,
    TOKENS,
    UNBOUNDED,
    Vector,
    vector_of,
)
from llmbatch_contract.sharing.facts import Key

MARGIN_S = 30.0
"""Beyond the lease: clocks run unequally, and this one may leap."""
WINDOW_S = 62.0
"""Endpoints count by minutes: who has sent may still count for so long."""
_MOST_UNKNOWN = 16


@dataclass
class Holding:
    """What one worker may be using."""

    number: int = 0
    """Of the last grant made for it."""
    last: Vector = NOTHING
    """That grant."""
    held_number: int = 0
    held: Vector = NOTHING
    """The latest grant that it said it uses."""
    sent: list[tuple[int, Vector]] = field(default_factory=list)
    """Later ones, that may have reached it or not."""
    in_flight: int = 0
    extra: Vector = NOTHING
    """What it can put into a minute beyond its rates: one request."""
    ceiling: tuple[int, Vector] | None = None
    """Limits were lowered: no more than this until it holds a grant of this number or a later one."""
    lease_ends: float = UNBOUNDED
    counts_until: float = float("-inf")
    may_use: Vector = NOTHING
    charge: Vector = NOTHING
    """What it may be using, and the extra."""
    has_changed: bool = False
    """The extra is another one since that was summed up."""

    def sum_up(self, now: float) -> None:
        """Note what it may be using, from its grants."""
        self.has_changed = False
        most = [
            max(self.held[d], *(amounts[d] for _, amounts in self.sent)) if self.sent else self.held[d] for d in ALL
        ]
        most[CONCURRENCY] = max(most[CONCURRENCY], float(self.in_flight))
        self.may_use = tuple(most)
        if self.may_send:
            self.counts_until = now + WINDOW_S
        extra = self.extra if self.counts_until > now else NOTHING
        self.charge = tuple(a + b for a, b in zip(most, extra, strict=True))

    @property
    def may_send(self) -> bool:
        """Whether its grants let it send anything."""
        return min(self.may_use[REQUESTS], self.may_use[TOKENS], self.may_use[INPUT_TOKENS]) > 0


class Ledger:
    """All workers of one endpoint. Times are those of a clock that never leaps (see steady.py)."""

    def __init__(self) -> None:
        self.capacity: Vector = EVERYTHING
        self.holdings: dict[Key, Holding] = {}
        self._sums = [0.0] * len(ALL)
        self._unbounded = [0] * len(ALL)

    def acknowledge(
        self, key: Key, holds: Grant, in_flight: int, extra: Vector, now: float, *, may_keep: bool
    ) -> Holding:
        """A worker says which grant it uses. `may_keep`: one that is new here goes on with what it holds."""
        holding = self.holdings.get(key)
        if holding is not None and holding.lease_ends <= now:
            self.drop(key)
            holding = None
        if holding is None:
            most = tuple(max(0.0, c - e) for c, e in zip(self.capacity, extra, strict=True))
            holding = self.holdings[key] = _newcomer(holds, most, may_keep=may_keep)
        else:
            self._count(holding, -1)
            if holding.may_send:
                holding.counts_until = now + WINDOW_S
            _advance(holding, holds)
        holding.in_flight, holding.extra = in_flight, extra
        holding.lease_ends = now + LEASE_S + MARGIN_S  # of the reply that it is about to get
        self._recount(holding, now)
        return holding

    def give(self, key: Key, amounts: Vector, now: float) -> None:
        """A new grant is on its way to a worker."""
        holding = self.holdings[key]
        self._count(holding, -1)
        holding.number += 1
        holding.last = amounts
        holding.sent.append((holding.number, amounts))
        if len(holding.sent) > _MOST_UNKNOWN:
            _, first = holding.sent.pop(0)
            number, second = holding.sent[0]
            holding.sent[0] = number, tuple(map(max, first, second))
        self._recount(holding, now)

    def left_for(self, key: Key) -> Vector:
        """The most that a worker may be given, beside what all others may be using."""
        mine = self.holdings[key]
        return tuple(self._left(d, mine) for d in ALL)

    def _left(self, d: int, mine: Holding) -> float:
        if self.capacity[d] == UNBOUNDED:
            return UNBOUNDED
        is_unbounded = mine.charge[d] == UNBOUNDED
        if self._unbounded[d] - is_unbounded:
            return 0.0
        others = self._sums[d] - (0.0 if is_unbounded else mine.charge[d])
        return max(0.0, self.capacity[d] - others - mine.extra[d])

    def lower(self, ceilings: dict[Key, Vector]) -> None:
        """Limits were lowered: nobody goes back to more than its ceiling before it has said that it went below it."""
        for key, holding in self.holdings.items():
            ceiling = ceilings.get(key, NOTHING)
            is_over = any(may > most for may, most in zip(holding.may_use, ceiling, strict=True))
            holding.ceiling = (holding.number + 1, ceiling) if is_over else None

    def drop(self, key: Key) -> None:
        """A worker uses nothing any more."""
        if (holding := self.holdings.pop(key, None)) is not None:
            self._count(holding, -1)

    def sweep(self, now: float) -> Iterator[Key]:
        """Drop whose leases are over, and sum up anew; yields who was dropped."""
        for key in [k for k, h in self.holdings.items() if h.lease_ends <= now]:
            del self.holdings[key]
            yield key
        self._sums, self._unbounded = [0.0] * len(ALL), [0] * len(ALL)
        for holding in self.holdings.values():
            if holding.counts_until <= now or holding.has_changed:
                holding.sum_up(now)
            self._count(holding, 1)

    def may_use(self) -> Vector:
        """The most that all workers may be using now."""
        sums = [0.0] * len(ALL)
        for holding in self.holdings.values():
            for d in ALL:
                sums[d] += holding.may_use[d]
        return tuple(sums)

    def _recount(self, holding: Holding, now: float) -> None:
        holding.sum_up(now)
        self._count(holding, 1)

    def _count(self, holding: Holding, sign: int) -> None:
        for d in ALL:
            if holding.charge[d] == UNBOUNDED:
                self._unbounded[d] += sign
            else:
                self._sums[d] += sign * holding.charge[d]


def _newcomer(holds: Grant, most: Vector, *, may_keep: bool) -> Holding:
    held = tuple(map(min, vector_of(holds), most)) if holds.number else NOTHING
    return Holding(holds.number, held if may_keep else NOTHING, holds.number, held)


def _advance(holding: Holding, holds: Grant) -> None:
    """Forget what is older than what it holds. A report that was held up on its way says nothing new."""
    if holds.number <= holding.held_number:
        return
    known = next((amounts for number, amounts in holding.sent if number == holds.number), None)
    holding.held_number, holding.held = holds.number, known or vector_of(holds)
    holding.sent = [(number, amounts) for number, amounts in holding.sent if number > holds.number]
    holding.number = max(holding.number, holds.number)
    if holding.ceiling is not None and holds.number >= holding.ceiling[0]:
        holding.ceiling = None
