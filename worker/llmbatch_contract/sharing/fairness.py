"""Who gets how much: weighted max-min fairness over demand, for as many at once as can do something with their part.

The same rule divides an endpoint among namespaces, a namespace's share among batches, a batch's among workers. Pure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llmbatch_contract.sharing.amounts import ALL, CONCURRENCY, NOTHING, UNBOUNDED, Vector


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
    served = _served(room, wishes, among)
    taken = [wishes[n] for n in served]
    costs = {d: sum(w.extra[d] for w in taken) if extra_is_apart else 0.0 for d in among}
    by_limit = {d: _parts(room[d] - costs[d], taken, d) for d in among}
    for place, n in enumerate(served):
        parts[n] = tuple(by_limit[d][place] if d in by_limit else UNBOUNDED for d in ALL)
    return parts


def _served(room: Vector, wishes: Sequence[Wish], among: Sequence[int]) -> list[int]:
    """Those whose needs all fit; the first that wants anything in any case."""
    left, served = list(room), list[int]()
    for n, wish in enumerate(wishes):
        if any(wish.most[d] <= 0 for d in among):
            continue
        if served and any(wish.need[d] + wish.extra[d] > left[d] for d in among):
            continue
        served.append(n)
        for d in among:
            left[d] -= wish.need[d] + wish.extra[d]
    return served


def _parts(limit: float, wishes: Sequence[Wish], d: int) -> list[float]:
    """First what is used for sure, then what could be."""
    weights = [w.weight for w in wishes]
    parts = _no_less_than_needed(limit, weights, [w.firm[d] for w in wishes], [w.need[d] for w in wishes])
    if (left := limit - sum(parts)) > 0:
        hopes = [0.0 if w.most[d] == w.firm[d] else w.most[d] - w.firm[d] for w in wishes]
        parts = [a + b for a, b in zip(parts, weighted_max_min(left, weights, hopes), strict=True)]
    return whole(parts, limit, [w.most[d] for w in wishes]) if d == CONCURRENCY else parts


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
