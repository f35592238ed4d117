"""Which batches share an endpoint, and what each of their workers may use of it. No I/O.

There is one pool for every LLMEndpoint that batches refer to, and one for every batch with an endpoint of its own.
Sessions join and leave; a pool outlives its last batch for as long as one of its pods might still ask.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from llmbatch_contract.reports import LEASE_S
from llmbatch_contract.sharing import EndpointFacts, EndpointShares
from llmbatch_contract.spec import Limits
from llmbatch_operator.facts import BatchRef

KEPT_S = 2 * LEASE_S
"""So long after its batch has ended, a pod is kept in mind: twice what it may go on with its last grant."""
_FACTS_FOR_S = 1.0

Worker = tuple[str, str]
"""Uid of a batch and name of its pod."""


@dataclass(frozen=True, slots=True)
class PoolKey:
    """What a pool is of."""

    endpoint: str | None
    """Name of an LLMEndpoint."""
    batch: str = ""
    """Uid of the batch whose endpoint it is, where it is no LLMEndpoint."""


def pool_key(batch_uid: str, endpoint: str | None) -> PoolKey:
    """The pool of a batch that refers to an LLMEndpoint, or has an endpoint of its own."""
    return PoolKey(endpoint) if endpoint is not None else PoolKey(None, batch_uid)


@dataclass
class Pool:
    """One endpoint as this operator knows it."""

    label: str
    """Name of the LLMEndpoint, or namespace/name of the batch."""
    shares: EndpointShares
    made_at: float = 0.0
    latest: EndpointFacts | None = None
    """What `facts` said last."""
    _facts_at: float = float("-inf")

    def is_young(self, now: float) -> bool:
        """Whether a pod may still use what the operator before this one has granted."""
        return now - self.made_at < KEPT_S

    def facts(self, now: float) -> EndpointFacts:
        """How it is used: at most a second old, since every batch asks whenever it is looked at."""
        if self.latest is None or now - self._facts_at >= _FACTS_FOR_S:
            self.latest, self._facts_at = self.shares.facts(now), now
        return self.latest


@dataclass
class Pools:
    """All endpoints that are in use."""

    clock: Callable[[], float]
    expected: Callable[[PoolKey], Collection[Worker]] = lambda _key: ()
    """Who may have a grant when a pool is made: of the operator before this one, of which this one knows nothing."""
    _pools: dict[PoolKey, Pool] = field(default_factory=dict)
    _batches: dict[str, PoolKey] = field(default_factory=dict)
    """Of every batch that has pods, or had some a moment ago."""
    _left_at: dict[str, float] = field(default_factory=dict)
    """When batches had ended; in this order."""

    def join(self, ref: BatchRef, endpoint: str | None, limits: Limits) -> Pool:
        """The pool of a batch that runs. `limits` hold if it is made now; later they are changed by `set_limits`."""
        key = pool_key(ref.uid, endpoint)
        if key not in self._pools:
            self._pools[key] = Pool(endpoint or str(ref), self._shares(key, limits), self.clock())
        self._batches[ref.uid] = key
        self._left_at.pop(ref.uid, None)
        return self._pools[key]

    def leave(self, batch_uid: str) -> None:
        """A batch has ended or is gone. Its pods may still be there."""
        key = self._batches.get(batch_uid)
        if key is not None and key.endpoint is None:  # nobody else is touched by what its pods do
            self._forget(batch_uid)
        elif key is not None:
            self._left_at.setdefault(batch_uid, self.clock())

    def get(self, endpoint: str) -> Pool | None:
        """The pool of an LLMEndpoint, if it is in use."""
        return self._pools.get(PoolKey(endpoint))

    def set_limits(self, endpoint: str, limits: Limits) -> None:
        """An LLMEndpoint has other limits."""
        if (pool := self.get(endpoint)) is not None and pool.shares.limits != limits:
            pool.shares.set_limits(limits, self.clock())

    def left(self, batch_uid: str, worker: str) -> None:
        """A pod sends nothing any more."""
        for pool in self._pools_of(batch_uid):
            pool.shares.left(batch_uid, worker, self.clock())

    def vanished(self, batch_uid: str, worker: str) -> None:
        """Nobody knows whether a pod still sends."""
        for pool in self._pools_of(batch_uid):
            pool.shares.vanished(batch_uid, worker, self.clock())

    def facts_of(self, endpoint: str) -> EndpointFacts | None:
        """How an LLMEndpoint is used; None if it is not."""
        pool = self.get(endpoint)
        return pool.facts(self.clock()) if pool is not None else None

    def facts(self) -> Iterator[tuple[str | None, EndpointFacts]]:
        """How all endpoints are used, by the names of LLMEndpoints; None for those of single batches."""
        now = self.clock()
        for key, pool in self._pools.items():
            facts = pool.facts(now) if key.endpoint is not None or pool.latest is None else pool.latest
            yield key.endpoint, facts

    def tidy(self) -> None:
        """Forget those who have left long ago. Asked every second, since leases run out only while somebody looks."""
        now = self.clock()
        for key, pool in self._pools.items():
            if key.endpoint is not None:  # the others are looked at with their batches
                pool.facts(now)
        while self._left_at and now - next(iter(self._left_at.values())) >= KEPT_S:
            self._forget(next(iter(self._left_at)))

    def _shares(self, key: PoolKey, limits: Limits) -> EndpointShares:
        return EndpointShares(limits, self.clock(), expected=self.expected(key))

    def _pools_of(self, batch_uid: str) -> list[Pool]:
        """The pool of a batch; all that may be, if it has not joined: its pods may be expected."""
        if (key := self._batches.get(batch_uid)) is not None:
            return [self._pools[key]]
        return [pool for key, pool in self._pools.items() if key.endpoint is not None]

    def _forget(self, batch_uid: str) -> None:
        self._left_at.pop(batch_uid, None)
        key = self._batches.pop(batch_uid)
        if key.endpoint is None or key not in self._batches.values():
            self._pools.pop(key, None)

    def __len__(self) -> int:
        return len(self._pools)
