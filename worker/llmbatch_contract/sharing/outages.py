"""Whether an endpoint is down, and which worker asks now and then whether it is back. Pure.

It is down when a worker has had nothing but failures for some seconds, and no other worker has had an answer since.
Batches probe in turns: where one cannot reach the endpoint, by a fault of its own network, another may.
"""

from collections.abc import Collection
from dataclasses import dataclass

from llmbatch_contract.reports import Outage, Report, Trouble
from llmbatch_contract.sharing.facts import Key

_LEAST_S = 5.0
_LEAST_FAILURES = 2
_REPORTED_LATE_S = 2.0
"""An answer may be known to us so much later than it came."""
_FIRST_PROBE_S, _LAST_PROBE_S = 1.0, 30.0
_PROBES_IN_A_ROW = 3
"""Then another batch has its turn."""
_SILENT_PROBER_S = 90.0
"""A prober of which no probe was heard for so long may have nothing to ask."""


@dataclass(frozen=True)
class _Said:
    """The part of a worker's last report that shows whether it had answers."""

    shards: dict[int, int]
    """Answers, by shard; those of earlier attempts count as well."""
    tokens: int
    trouble: Trouble | None

    def shows_answers_since(self, before: "_Said") -> bool:
        """Whether it has had an answer between two reports."""
        if self.tokens > before.tokens or (before.trouble is not None and self.trouble is None):
            return True
        return any(count > before.shards.get(shard, count) for shard, count in self.shards.items())


class Outages:
    """Of one endpoint."""

    def __init__(self) -> None:
        self.since: float | None = None
        """When it went down; None: it is not."""
        self.trouble: Trouble | None = None
        """What was seen last while it is down."""
        self.answered_at: float | None = None
        self._said: dict[Key, _Said] = {}
        self._prober: Key | None = None
        self._probed_at = float("-inf")
        self._failed_probes: dict[str, int] = {}
        """In this outage, by batch."""
        self._probe_after_s = _FIRST_PROBE_S

    def heard(self, worker: Key, report: Report, now: float) -> None:
        """Take in a report."""
        answers = {shard.shard: shard.succeeded + shard.unwritten_succeeded for shard in report.shards}
        said = _Said(answers, report.spent.tokens, report.trouble)
        before = self._said.get(worker)
        self._said[worker] = said
        if before is not None and said.shows_answers_since(before):
            self.answered_at = now
            self._end()
        elif said.trouble is not None:
            self._failed(worker, before.trouble if before is not None else None, said.trouble, now)

    def _failed(self, worker: Key, before: Trouble | None, trouble: Trouble, now: float) -> None:
        if self.since is not None:
            self.trouble = trouble
            if worker == self._prober and (before is None or trouble.failures != before.failures):
                self._probed_at = now
                self._failed_probes[worker[0]] = self._failed_probes.get(worker[0], 0) + 1
                self._probe_after_s = min(2 * self._probe_after_s, _LAST_PROBE_S)
            return
        is_long = trouble.for_s >= _LEAST_S and trouble.failures >= _LEAST_FAILURES
        others = self.answered_at is not None and self.answered_at > now - trouble.for_s + _REPORTED_LATE_S
        if is_long and not others:
            self.since, self.trouble = now - trouble.for_s, trouble
            self._assign(worker, now)

    def _end(self) -> None:
        self.since = self.trouble = self._prober = None
        self._probe_after_s = _FIRST_PROBE_S
        self._failed_probes.clear()

    def _assign(self, worker: Key, now: float) -> None:
        self._prober, self._probed_at = worker, now

    def told(self, worker: Key, live: Collection[Key], now: float, *, may_send: bool = True) -> Outage | None:
        """What a worker that reports is told. `live`: those that report; `may_send`: it has a share to probe with."""
        if self.since is None:
            return None
        if self._prober not in live or (worker == self._prober and not may_send):
            self._prober = None
        if may_send and worker != self._prober and self._takes_over(worker, now):
            self._assign(worker, now)
        is_prober = worker == self._prober
        return Outage(probe=is_prober, probe_after_s=self._probe_after_s if is_prober else 0)

    def _takes_over(self, worker: Key, now: float) -> bool:
        if self._prober is None or now - self._probed_at > _SILENT_PROBER_S:
            return True
        mine, its = (self._failed_probes.get(batch, 0) for batch, _ in (worker, self._prober))
        return mine + _PROBES_IN_A_ROW <= its

    def gone(self, worker: Key) -> None:
        """A worker reports no more."""
        self._said.pop(worker, None)
        if worker == self._prober:
            self._prober = None
        if not self._said:
            self._end()
