"""Who gets how much: weighted max-min fairness over demand, for as many at once as can do something with their part.

The same rule divides an endpoint among namespaces, a namespace's share among batches, a batch's among workers. Pure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llmbatch_contract.sharing.amounts import ALL, CONCURRENCY, NOTHING, UNBOUNDED, Vector

_ROUNDING = 1e-6
_ROOM, _MOST_ROOM = 1.015, 1.25
"""How much more of a limit than goes with the others one gets where others want it, and where nobody does."""


@dataclass(frozen=True, slots=True)
class Claim:
    """On a single limit."""

    weight: float
    firm: float
    most: float
    need: float


@dataclass(frozen=True, slots=True)
class Wish:
    """What one of those who share wants."""

    weight: float
    firm: Vector
    """What it uses now, and a little to grow by."""
    most: Vector
    """What it could use."""
    need: Vector
    """It waits for its turn rather than take less."""
    extra: Vector = NOTHING
    """What its taking part costs beyond its part."""
    each: Vector = NOTHING
    """What a request takes of each rate; 0: not known."""

    def claim(self, d: int, requests: float = UNBOUNDED) -> Claim:
        """On one limit, if the others let so many requests go a minute: of this one, it has no use for more."""
        firm, most, each = self.firm[d], self.most[d], self.each[d]
        if requests != UNBOUNDED and each > 0:
            firm = min(firm, max(_ROOM * each * requests, self.need[d]))
            most = min(most, max(_MOST_ROOM * each * requests, firm))
        return Claim(self.weight, firm, most, self.need[d])

    def worth(self, part: float, d: int) -> float:
        """How many requests a minute a part lets go."""
        return part / self.each[d] if self.each[d] > 0 else UNBOUNDED


def weighted_max_min(limit: float, weights: Sequence[float], demands: Sequence[float]) -> list[float]:
    """Share `limit` so that nobody gets more than it asks for, and nobody could get more without a poorer one losing.

    Progressive filling: Bertsekas & Gallager, Data Networks, section 6.5.2.
    """
    shares = [0.0] * len(demands)
    left, heavy = max(0.0, limit), sum(weights)
    for n in sorted(range(len(demands)), key=lambda n: demands[n] / weights[n]):
        shares[n] = max(0.0, min(demands[n], left * weights[n] / heavy))
        left -= shares[n]
        heavy -= weights[n]
    return shares


def divide(room: Vector, wishes: Sequence[Wish], among: Sequence[int], *, extra_is_apart: bool = True) -> list[Vector]:
    """A part of `room` for each wish; those that come first are served first where not all can be.

    `among`: the limits that there are. `extra_is_apart`: what taking part costs is not in the parts.
    """
    parts: list[Vector] = [tuple(0.0 if d in among else UNBOUNDED for d in ALL)] * len(wishes)
    served = served_of(room, wishes, among)
    taken = [wishes[n] for n in served]
    costs = {d: sum(w.extra[d] for w in taken) if extra_is_apart else 0.0 for d in among}
    bounds, by_limit = [UNBOUNDED] * len(taken), dict[int, list[float]]()
    for d in among:
        claims = [wish.claim(d, bound) for wish, bound in zip(taken, bounds, strict=True)]
        by_limit[d] = parts_of(room[d] - costs[d], claims, is_whole=d == CONCURRENCY)
        bounds = [min(b, w.worth(part, d)) for b, w, part in zip(bounds, taken, by_limit[d], strict=True)]
    for place, n in enumerate(served):
        parts[n] = tuple(by_limit[d][place] if d in by_limit else UNBOUNDED for d in ALL)
    return parts


def served_of(room: Vector, wishes: Sequence[Wish], among: Sequence[int]) -> list[int]:
    """Those whose needs all fit; the first that wants anything in any case."""
    left, served = list(room), list[int]()
    for n, wish in enumerate(wishes):
        if any(wish.most[d] <= 0 for d in among):
            continue
        if served and any(wish.need[d] + wish.extra[d] > left[d] + _ROUNDING for d in among):
            continue
        served.append(n)
        for d in among:
            left[d] -= wish.need[d] + wish.extra[d]
    return served


def parts_of(limit: float, claims: Sequence[Claim], *, is_whole: bool = False) -> list[float]:
    """First what is used for sure, then what could be."""
    weights, most = [c.weight for c in claims], [c.most for c in claims]
    parts = _no_less_than_needed(limit, weights, [c.firm for c in claims], [c.need for c in claims])
    if (left := limit - sum(parts)) > 0:
        hopes = [0.0 if c.most == c.firm else c.most - c.firm for c in claims]
        parts = [a + b for a, b in zip(parts, weighted_max_min(left, weights, hopes), strict=True)]
    return whole(parts, limit, most) if is_whole else parts


def _no_less_than_needed(
    limit: float, weights: Sequence[float], demands: Sequence[float], needs: Sequence[float]
) -> list[float]:
    """Who would get less than it needs gets that, and the others share the rest."""
    parts, others, left = [0.0] * len(demands), list(range(len(demands))), limit
    while others:
        shares = weighted_max_min(left, [weights[n] for n in others], [demands[n] for n in others])
        poor = {n for n, share in zip(others, shares, strict=True) if share < min(needs[n], demands[n]) - 1e-9}
        if not poor:
            for n, share in zip(others, shares, strict=True):
                parts[n] = share
            break
        for n in sorted(poor):
            parts[n] = max(0.0, min(needs[n], left))
            left -= parts[n]
        others = [n for n in others if n not in poor]
    return parts


def whole(parts: Sequence[float], limit: float, most: Sequence[float]) -> list[float]:
    """Whole numbers, with no rest left where somebody can use it; the first of those with equal claims get more."""
    down = [float(math.floor(part + 1e-9)) for part in parts]
    rest = math.floor(min(limit, sum(parts) + 1 - 1e-6) + 1e-9) - int(sum(down))
    for n in sorted(range(len(parts)), key=lambda n: down[n] - parts[n]):
        if rest <= 0:
            break
        if down[n] < most[n]:
            down[n] += 1
            rest -= 1
    return down
