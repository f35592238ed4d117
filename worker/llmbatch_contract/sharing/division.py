"""Divides an endpoint: equally among namespaces, by weight among a namespace's batches, then among a batch's workers.

Within a batch a share goes to as few workers as can use it: each that sends can put a request more into a minute than
its rate says, and that has to be kept free. Pure but for the turns it remembers.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from llmbatch_contract.sharing.amounts import ALL, NOTHING, Vector
from llmbatch_contract.sharing.facts import Key, Member
from llmbatch_contract.sharing.fairness import Wish, divide
from llmbatch_contract.sharing.turns import Turns

_Key = TypeVar("_Key", bound=Hashable)

_WORTH_A_WORKER = 60.0
"""Requests a minute."""
_WORTH_A_TURN = 2.0


@dataclass(frozen=True, slots=True)
class Asking:
    """One worker and what it asks for."""

    member: Member
    wish: Wish
    largest: float
    """Tokens."""
    is_sending: bool


def asking_for(
    member: Member, firm: Vector, most: Vector, *, extra: Vector, largest: float, is_sending: bool
) -> Asking:
    """`extra` is what it costs to let it send; nothing where that is paid for already."""
    worth = (min(_WORTH_A_WORKER, firm[0]), min(2 * largest, firm[1]), min(2 * largest, firm[2]), min(1.0, firm[3]))
    return Asking(member, Wish(1.0, firm, most, worth, extra), largest, is_sending)


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
        found: dict[Key, Vector] = {}
        wishes = [_sum([_of_batch(workers) for workers in batches.values()], 1.0) for batches in spaces.values()]
        for space, part in self._by_turns(room, list(spaces), wishes, among, now):
            found |= self._in_namespace(str(space), spaces[str(space)], part, among, now)
        return found

    def _in_namespace(
        self, space: str, batches: dict[str, list[Asking]], room: Vector, among: Sequence[int], now: float
    ) -> dict[Key, Vector]:
        found: dict[Key, Vector] = {}
        names = {(space, batch): batch for batch in batches}
        wishes = [_of_batch(batches[batch]) for batch in names.values()]
        for key, part in self._by_turns(room, list(names), wishes, among, now):
            workers = batches[names[key]]
            parts = divide(part, [worker.wish for worker in workers], among)
            found |= {worker.member.key: amounts for worker, amounts in zip(workers, parts, strict=True)}
        return found

    def _by_turns(
        self, room: Vector, keys: list[_Key], wishes: Sequence[Wish], among: Sequence[int], now: float
    ) -> list[tuple[_Key, Vector]]:
        """Parts of `room`. What it costs to let somebody send comes out of its part."""
        order = self._turns.ordered(keys, now)
        parts = divide(room, [wishes[n] for n in order], among, extra_is_apart=False)
        keys = [keys[n] for n in order]
        self._turns.note(keys, [any(part[d] > 0 for d in among) for part in parts], now)
        return list(zip(keys, parts, strict=True))


def _of_batch(workers: Sequence[Asking]) -> Wish:
    first = workers[0]
    largest = max(worker.largest for worker in workers)
    needs = (_WORTH_A_TURN, largest, largest, 1.0)
    wish = _sum([worker.wish for worker in workers], first.member.weight)
    return Wish(wish.weight, wish.firm, wish.most, tuple(map(min, needs, wish.firm)), first.wish.extra)


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
