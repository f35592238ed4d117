"""Which push-backs are news: one burst of them is one, however many workers tell of it. Pure.

What was sent before everybody has learnt of the last decrease says nothing about the smaller amount (as in TCP's fast
recovery, RFC 6582).
"""

from collections.abc import Iterable

from llmbatch_contract.sharing.facts import Key

_LEARNT_AFTER_S = 10.0
"""Who has not said by then that it knows is not waited for."""


class Bursts:
    """Of one limit."""

    def __init__(self) -> None:
        self._learnt_at = float("-inf")
        self._began = float("-inf")
        self._unlearnt: dict[Key, int | None] = {}
        """Who may not know of the last decrease, and the number of the grant that tells of it, once there is one."""

    def is_news(self, sent_at: float, now: float) -> bool:
        """Whether a push-back of a request that was sent then counts."""
        if self._unlearnt and now >= self._began + _LEARNT_AFTER_S:
            self._unlearnt.clear()
            self._learnt_at = now
        return not self._unlearnt and sent_at > self._learnt_at

    def began(self, workers: Iterable[Key], now: float) -> None:
        """All these have to learn of a decrease."""
        self._unlearnt = dict.fromkeys(workers)
        self._began = self._learnt_at = now

    def told(self, worker: Key, number: int) -> None:
        """The grant of this number is what a worker should have."""
        if worker in self._unlearnt and self._unlearnt[worker] is None:
            self._unlearnt[worker] = number

    def holds(self, worker: Key, number: int, now: float) -> None:
        """A worker uses the grant of this number."""
        told = self._unlearnt.get(worker)
        if told is not None and number >= told:
            self.gone(worker, now)

    def gone(self, worker: Key, now: float) -> None:
        """A worker knows, or need not know any more."""
        if worker in self._unlearnt:
            del self._unlearnt[worker]
            self._learnt_at = now
