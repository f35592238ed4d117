"""Divides an endpoint: equally among namespaces, by weight among a namespace's batches, then among a batch's workers.

Within a batch a share goes to as few workers as can use it: each that sends can put a request more into a minute than
its rate says, and that has to be kept free. Pure but for the turns it remembers.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from llmbatch_contract.sharing.amounts import ALL, NOTHING, RATES, UNBOUNDED, Vector
from llmbatch_contract.sharing.demand import Wanted
from llmbatch_contract.sharing.facts import Key, Member
from llmbatch_contract.sharing.fairness import Claim, Wish, divide, parts_of
from llmbatch_contract.sharing.turns import Turns

_Key = TypeVar("_Key", bound=Hashable)

_WORTH_A_WORKER = 60.0
"""Requests a minute."""
_WORTH_A_TURN = 2.0
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Asking:
    """One worker and what it asks for."""

    member: Member
    wish: Wish
    largest: float
    """Tokens."""
    is_sending: bool


def asking_for(member: Member, wanted: Wanted, *, extra: Vector, largest: float, is_sending: bool) -> Asking:
    """`extra` is what it costs to let it send; nothing where that is paid for already."""
    firm = wanted.firm
    worth = (min(_WORTH_A_WORKER, firm[0]), min(2 * largest, firm[1]), min(2 * largest, firm[2]), min(1.0, firm[3]))
    return Asking(member, Wish(1.0, firm, wanted.most, worth, extra, wanted.each), largest, is_sending)


class Division:
    """Of one endpoint."""

    def __init__(self) -> None:
        self._turns = Turns()

    def targets(self, room: Vector, asking: Sequence[Asking], among: Sequence[int], now: float) -> dict[Key, Vector]:
        """What each worker should get; those that are not named get nothing. `among`: the limits that there are."""
        able = [a for a in asking if all(a.wish.most[d] > 0 for d in among)]
        spaces: dict[str, dict[str, list[Asking]]] = {}
        for a in sorted(able, key=lambda a: (not a.is_sending, a.member.key)):
            spaces.setdefault(a.member.namespace, {}).setdefault(a.member.batch, []).append(a)
        self._turns.forget({*spaces, *((space, batch) for space, batches in spaces.items() for batch in batches)})
        batches = [
            _Batch(space, name, workers) for space, of_space in spaces.items() for name, workers in of_space.items()
        ]
        served = self._served(room, batches, among, now)
        _couple(room, served, among)
        found: dict[Key, Vector] = {}
        for batch in served:
            parts = divide(tuple(batch.part), [worker.wish for worker in batch.workers], among)
            found |= {w.member.key: amounts for w, amounts in zip(batch.workers, parts, strict=True)}
        return found

    def _served(self, room: Vector, batches: Sequence["_Batch"], among: Sequence[int], now: float) -> list["_Batch"]:
        """Those that get a part, with a first one as if limits had nothing to do with each other."""
        spaces: dict[str, list[_Batch]] = {}
        for batch in batches:
            spaces.setdefault(batch.space, []).append(batch)
        wishes = [_sum([batch.wish for batch in of_space], 1.0) for of_space in spaces.values()]
        served = list[_Batch]()
        for space, of_space in self._by_turns(room, list(spaces), wishes, among, now):
            inside = {(space, batch.name): batch for batch in spaces[space]}
            for key, part in self._by_turns(of_space, list(inside), [b.wish for b in inside.values()], among, now):
                if any(part[d] > 0 for d in among):
                    inside[key].part = list(part)
                    served.append(inside[key])
        return served

    def _by_turns(
        self, room: Vector, keys: list[_Key], wishes: Sequence[Wish], among: Sequence[int], now: float
    ) -> list[tuple[_Key, Vector]]:
        """Parts of `room`. What it costs to let somebody send comes out of its part."""
        order = self._turns.ordered(keys, now)
        parts = divide(room, [wishes[n] for n in order], among, extra_is_apart=False)
        keys = [keys[n] for n in order]
        self._turns.note(keys, [any(part[d] > 0 for d in among) for part in parts], now)
        return list(zip(keys, parts, strict=True))


@dataclass(slots=True)
class _Batch:
    """One batch, while it is worked out what it gets."""

    space: str
    name: str
    workers: Sequence[Asking]
    wish: Wish = field(init=False)
    part: list[float] = field(default_factory=list)
    bounds: list[float] = field(default_factory=lambda: [UNBOUNDED] * len(ALL))
    """The requests a minute that each limit lets go, where it is that which holds the batch back."""

    def __post_init__(self) -> None:
        self.wish = _of_batch(self.workers)

    def claim(self, d: int) -> Claim:
        """What it has use for, beside what it has of the other limits."""
        return self.wish.claim(d, min(bound for e, bound in enumerate(self.bounds) if e != d))

    def get(self, d: int, claim: Claim, amount: float) -> None:
        """So much of one limit."""
        self.part[d] = amount
        self.bounds[d] = (
            self.wish.worth(amount, d) if amount < 0.999 * claim.firm or not self._is_bound(d) else UNBOUNDED
        )

    def _is_bound(self, d: int) -> bool:
        return any(bound != UNBOUNDED for e, bound in enumerate(self.bounds) if e != d)


def _couple(room: Vector, batches: Sequence[_Batch], among: Sequence[int]) -> None:
    """Divide one limit after the other, so that nobody gets of one what it cannot use for want of another.

    Who is held back by a limit leaves of those before it what does not go with it; so each is divided again.
    """
    rates = [d for d in RATES if d in among]
    if len(rates) < 2:
        return
    spaces: dict[str, list[_Batch]] = {}
    for batch in batches:
        spaces.setdefault(batch.space, []).append(batch)
    for d in rates * _ROUNDS:
        claims = {space: [batch.claim(d) for batch in of_space] for space, of_space in spaces.items()}
        sums = [_sum_of_claims(of_space) for of_space in claims.values()]
        for space, amount in zip(spaces, parts_of(room[d], sums), strict=True):
            amounts = parts_of(amount, claims[space])
            for batch, claim, part in zip(spaces[space], claims[space], amounts, strict=True):
                batch.get(d, claim, part)


def _sum_of_claims(claims: Sequence[Claim]) -> Claim:
    return Claim(1.0, sum(c.firm for c in claims), sum(c.most for c in claims), sum(c.need for c in claims))


def _of_batch(workers: Sequence[Asking]) -> Wish:
    first = workers[0]
    largest = max(worker.largest for worker in workers)
    needs = (_WORTH_A_TURN, largest, largest, 1.0)
    wish = _sum([worker.wish for worker in workers], first.member.weight)
    costs = [sum(worker.wish.extra[d] for worker in workers) for d in ALL]  # of letting all of them send
    firm, most = (tuple(a + b for a, b in zip(amounts, costs, strict=True)) for amounts in (wish.firm, wish.most))
    return Wish(wish.weight, firm, most, tuple(map(min, needs, wish.firm)), first.wish.extra, _each(workers))


def _each(workers: Sequence[Asking]) -> Vector:
    """What a request takes, on average over those who send; over all before anybody does."""
    known = [w.wish.each for w in workers if w.is_sending] or [w.wish.each for w in workers]
    return tuple(sum(each[d] for each in known) / len(known) for d in ALL)


def _sum(wishes: Sequence[Wish], weight: float) -> Wish:
    """Of several that share one part; it is enough for one of them to send."""
    firm, most = list(NOTHING), list(NOTHING)
    for wish in wishes:
        for d in ALL:
            firm[d] += wish.firm[d]
            most[d] += wish.most[d]
    need = tuple(min(wish.need[d] for wish in wishes) for d in ALL)
    extra = tuple(min(wish.extra[d] for wish in wishes) for d in ALL)
    return Wish(weight, tuple(firm), tuple(most), need, extra)
