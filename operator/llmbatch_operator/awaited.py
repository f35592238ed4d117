"""Pods that may have been granted something by an operator before this one. No I/O.

A pool hands out nothing new until each of them was heard or has ended. Whoever is heard, or whose end is told by the
watch, is taken care of by the session; here are those of which nothing comes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from llmbatch_contract.reports import LEASE_S
from llmbatch_operator.cache import Cache, Known
from llmbatch_operator.facts import PodFacts, endpoint_name
from llmbatch_operator.pools import KEPT_S, PoolKey, Worker

STARTS_WITHIN_S = 15.0
"""A pod that has not started by then had not when this operator began either: the API server hears of it sooner."""

DELETED_WITHIN_S = 60.0
"""A pod of a batch that nobody knows was told to end by then, if there ever was such a batch."""


@dataclass
class Awaited:
    """All pods that are waited for."""

    cache: Cache
    clock: Callable[[], float]
    _since: dict[str, tuple[float, PodFacts]] = field(default_factory=dict)
    """By uid."""
    _vanished: dict[str, tuple[float, PodFacts]] = field(default_factory=dict)
    """By uid, in the order of time."""

    def begin(self, key: PoolKey) -> list[Worker]:
        """Pods of an endpoint whose pool is made now: there are some only where an operator was before."""
        now = self.clock()
        self._forget_old(now)
        pods = [pod for known in self._users(key) for pod in known.pods.values() if pod.may_ask]
        if key.endpoint is not None:  # what a batch asked that has been deleted, nobody can say any more
            pods += [pod for pod in self.cache.strays.values() if pod.may_ask]
        self._since |= {pod.uid: (now, pod) for pod in pods}
        gone = [pod for _, pod in self._vanished.values() if self._may_be_of(pod, key)]
        return [(pod.batch_uid, pod.name) for pod in (*pods, *gone)]

    def vanished(self, pod: PodFacts) -> None:
        """A pod is gone that may still run: a pool that is made after that has to know."""
        self._forget_old(self.clock())
        if pod.may_ask:
            self._vanished[pod.uid] = (self.clock(), pod)

    def given_up(self, now: float) -> Iterator[PodFacts]:
        """Those that are waited for no longer, as they are now. Asked every second."""
        for uid, (since, first) in list(self._since.items()):
            known = self.cache.pod(first.batch_uid, uid) or self.cache.strays.get(uid)
            if known is None:
                yield first  # gone, and nobody knows how it ended
            elif self._holds_nothing(known, now - since):
                yield replace(known, has_stopped=True)
            elif known.is_over:
                yield known
            elif now - since < LEASE_S:
                continue
            del self._since[uid]

    def _holds_nothing(self, pod: PodFacts, age_s: float) -> bool:
        never_started = pod.started_at is None and age_s >= STARTS_WITHIN_S
        is_nobodys = pod.uid in self.cache.strays and not pod.is_deleting and age_s >= DELETED_WITHIN_S
        return never_started or is_nobodys

    def _users(self, key: PoolKey) -> Iterator[Known]:
        """Batches that ask an endpoint."""
        if key.endpoint is not None:
            return (known for known in self.cache.all() if self._endpoint_of(known) == key.endpoint)
        known = self.cache.known(key.batch)
        return iter(() if known is None else (known,))

    def _may_be_of(self, pod: PodFacts, key: PoolKey) -> bool:
        if key.endpoint is None:
            return pod.batch_uid == key.batch
        known = self.cache.get(pod.batch_uid)
        return known is None or self._endpoint_of(known) == key.endpoint

    def _endpoint_of(self, known: Known) -> str | None:
        return endpoint_name(known.body) if known.body is not None else None

    def _forget_old(self, now: float) -> None:
        while self._vanished and now - next(iter(self._vanished.values()))[0] >= KEPT_S:
            del self._vanished[next(iter(self._vanished))]
