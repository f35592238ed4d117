"""Who may send how much: weighted max-min fairness, and a ledger that never promises more than there is. Pure."""

import math
from collections.abc import Mapping

UNBOUNDED = float("inf")


def max_min(limit: float, demands: Mapping[str, float]) -> dict[str, float]:
    """Share `limit` so that nobody gets more than it asks for, and nobody could get more without a poorer one losing.

    Progressive filling: Bertsekas & Gallager, Data Networks, section 6.5.2.
    """
    shares: dict[str, float] = {}
    left = limit
    waiting = sorted(demands.items(), key=lambda d: (d[1], d[0]))
    for position, (name, demand) in enumerate(waiting):
        shares[name] = min(demand, left / (len(waiting) - position))
        left -= shares[name]
    return shares


class Ledger:
    """One limit, shared by workers that learn of changes only when they report.

    A worker may go on using an old grant until it says that it holds the new one, so what it *may* be using is the
    larger of the two. A new grant is cut to what is left beside everybody else's; the sum of what may be in use never
    exceeds the limit.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._granted: dict[str, dict[int, float]] = {}
        self._in_use: dict[str, float] = {}

    def grant(self, worker: str, number: int, holds: int, demands: Mapping[str, float], in_use: float = 0.0) -> float:
        """What `worker`, which holds grant `holds` and still uses `in_use`, gets as grant `number`: a whole amount.

        Shares are rounded up while there is anything left: rounded down, a limit of 2 would give 3 workers nothing.
        """
        mine = self._granted.setdefault(worker, {})
        for old in [n for n in mine if n < holds]:
            del mine[old]
        self._in_use[worker] = in_use
        left = self.limit - sum(self._most(w) for w in self._granted if w != worker)
        fair = math.ceil(max_min(self.limit, demands).get(worker, 0.0))
        mine[number] = max(0.0, min(fair, left))
        return mine[number]

    def _most(self, worker: str) -> float:
        """The most that a worker may be using now."""
        return max(*self._granted[worker].values(), self._in_use.get(worker, 0.0))

    def leave(self, worker: str) -> None:
        """The worker is known to send nothing any more; its share is free."""
        self._granted.pop(worker, None)
        self._in_use.pop(worker, None)

    def in_use(self) -> float:
        """The most that all workers may be using now."""
        return sum(self._most(worker) for worker in self._granted)
