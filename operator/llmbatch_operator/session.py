"""What workers say about one batch while it runs: counts, plan, stop, and what they are told. No I/O, no clock.

A session is made anew after a restart and filled from reports and from pods' last words; until it has caught up, the
counts of the status stand.
"""

from collections import Counter
from dataclasses import dataclass, field

from llmbatch_contract.coordination import Coordinator
from llmbatch_contract.pace import Speedometer
from llmbatch_contract.pods import FinalCounts, LastWords
from llmbatch_contract.progress import BatchProgress, ShardProgress
from llmbatch_contract.reports import Command, Grant, PlanFacts, Reply, Report, Spent, StopReason, StoreTrouble
from llmbatch_contract.spec import LLMBatchSpec
from llmbatch_operator.facts import BatchRef
from llmbatch_operator.plausible import plausible
from llmbatch_operator.pools import Pool
from llmbatch_operator.waits import THE_ENDPOINT, what_holds_back

_MOST_SHARDS = 10_000
_TROUBLE_S = 5.0
"""A store that slows everybody down for a moment is nobody's to put right."""
_TROUBLES = ("taken", "receiver", "away", "full", "denied")
"""Kinds of trouble with a store or a receiver, the one last that somebody has to put right most surely."""


@dataclass
class _Speaker:
    """The last report of a worker."""

    at: float
    in_flight: int
    unwritten: int
    was_paused: bool
    """It had been told to pause before it said so."""
    due: float
    """When it was asked to report next."""
    waits_for: tuple[str, ...]
    """What holds it back."""
    granted: Grant
    """What it was told last."""
    store_trouble: StoreTrouble | None
    """What keeps it from reading or writing."""


@dataclass
class Session:
    """One batch that runs."""

    ref: BatchRef
    spec: LLMBatchSpec
    """As its workers are given it: with an endpoint in place."""
    pool: Pool
    """Of its endpoint."""
    answered_before: int = 0
    """Items that the status counts as answered when the session begins."""
    spent_before: Spent = field(default_factory=Spent)
    """By the status when the session begins."""
    report_every_s: float = 1.0
    command: Command = Command.RUN
    paused_since: float | None = None
    plan: PlanFacts | None = None
    final: FinalCounts | None = None
    store_full: str | None = None
    stopped_by_worker: StopReason | None = None
    speed: Speedometer = field(default_factory=Speedometer)
    has_changed: bool = False
    """Something was reported since the status was last looked at."""
    heard_since: float | None = None
    """When the first of these reports came that no look has taken in."""
    _speakers: dict[str, _Speaker] = field(default_factory=dict)
    _silent: dict[str, StoreTrouble] = field(default_factory=dict)
    """What the stores of pods wait for that ask nothing."""
    _stopped: set[str] = field(default_factory=set)
    """Workers that have said goodbye, or whose pods have ended."""

    def __post_init__(self) -> None:
        self.coordinator = Coordinator(
            self.spec.failure_policy,
            BatchProgress(0, 0),
            self.pool.shares,
            namespace=self.ref.namespace,
            batch=self.ref.uid,
            weight=float(self.spec.priority),
            budget=self.spec.budget,
            pricing=self.spec.endpoint.pricing,
            report_every_s=self.report_every_s,
            answered_before=self.answered_before,
            spent_before=self.spent_before,
        )

    @property
    def progress(self) -> BatchProgress:
        """Counts of the shards."""
        return self.coordinator.progress

    @property
    def stop(self) -> StopReason | None:
        """A failure on which the batch has to stop."""
        return self.coordinator.stop

    @property
    def in_flight(self) -> int:
        """Requests in flight, by the last reports."""
        return self.coordinator.in_flight

    def use(self, spec: LLMBatchSpec) -> None:
        """The spec was changed: failure policy, priority, budget and prices hold from now on."""
        self.spec = spec
        self.coordinator.policy = spec.failure_policy
        self.coordinator.weight = float(spec.priority)
        self.coordinator.budget = spec.budget
        self.coordinator.pricing = spec.endpoint.pricing

    def obey(self, command: Command, now: float) -> None:
        """From now on, tell workers this."""
        if command is Command.PAUSE and self.paused_since is None:
            self.paused_since = now
        elif command is not Command.PAUSE:
            self.paused_since = None
        self.command = command
        self.coordinator.paused = command is Command.PAUSE

    def reply(self, report: Report, now: float) -> Reply:
        """Take in a worker's report and say what it shall do."""
        report = self._believed(plausible(report, self._most_shards), now)
        self.heard_since = now if self.heard_since is None else self.heard_since
        self.plan = self.plan or report.plan  # it never changes, and the pod that made it says most
        self.stopped_by_worker = self.stopped_by_worker or report.stop
        self.coordinator.report_every_s = self.report_every_s
        if not report.asks:
            self._note_silent(report)
            return Reply()
        if report.worker in self._stopped:  # said before it ended, and on its way until now: it is granted nothing
            self.coordinator.stop = self.coordinator.stop or report.stop
            return Reply(command=Command.STOP)
        if report.leaving:
            self._speakers.pop(report.worker, None)
            self._stopped.add(report.worker)
            return self.coordinator.reply(report, now)
        reply = self.coordinator.reply(report, now)
        self._note(report, reply.grant, now)
        return reply

    def _note_silent(self, report: Report) -> None:
        """A pod that asks nothing shares in nothing: only what its stores wait for is of interest."""
        self._silent.pop(report.worker, None)
        if report.store_trouble is not None:
            self._silent[report.worker] = report.store_trouble

    def _believed(self, report: Report, now: float) -> Report:
        """Nobody can hold what it was never granted: by this operator, or soon after its start by the one before."""
        known, holds = self._speakers.get(report.worker), report.holds.number
        if known is not None and holds > known.granted.number:
            return report.model_copy(update={"holds": known.granted})
        if known is None and holds and not self.pool.is_young(now):
            return report.model_copy(update={"holds": Grant()})
        return report

    def _note(self, report: Report, granted: Grant, now: float) -> None:
        self._silent.pop(report.worker, None)  # a pod that has planned and now asks
        known = self._speakers.get(report.worker)
        unwritten = sum(s.unwritten_succeeded + s.unwritten_failed for s in report.shards)
        told = known is not None and self.paused_since is not None and known.at >= self.paused_since
        due = now + self.report_every_s
        waits = what_holds_back(report)
        trouble = report.store_trouble
        self._speakers[report.worker] = _Speaker(now, report.in_flight, unwritten, told, due, waits, granted, trouble)

    def late_s(self, worker: str, now: float) -> float | None:
        """How much later than it was asked for a report comes now; None if it is the worker's first."""
        known = self._speakers.get(worker)
        return None if known is None else max(0.0, now - known.due)

    @property
    def _most_shards(self) -> int:
        return min(self.plan.shards, _MOST_SHARDS) if self.plan is not None else _MOST_SHARDS

    def heard_last_words(self, worker: str, words: LastWords, now: float) -> None:
        """A pod has ended."""
        self.lost(worker, now)
        self.plan = self.plan or words.plan
        self.final = words.final or self.final
        if words.progress is not None:
            self.progress.merge(_settled(words.progress))
        if words.stop is not None:
            self.stopped_by_worker = self.stopped_by_worker or words.stop
            self.coordinator.stop = self.coordinator.stop or words.stop

    def lost(self, worker: str, now: float) -> None:
        """A pod has ended: what it was granted is free at once."""
        self._silent.pop(worker, None)
        self._speakers.pop(worker, None)
        self._stopped.add(worker)
        self.coordinator.lost(worker, now)

    def vanished(self, worker: str, now: float) -> None:
        """A pod is gone and may still run, on a node that cannot be reached: what it was granted is kept for now."""
        self._silent.pop(worker, None)
        self._speakers.pop(worker, None)
        self.coordinator.vanished(worker, now)

    def is_drained(self, workers: set[str]) -> bool:
        """Whether all these workers, told to pause, have said that nothing is in flight or unwritten."""
        for worker in workers:
            said = self._speakers.get(worker)
            if said is None or not said.was_paused or said.in_flight or said.unwritten:
                return False
        return True

    @property
    def workers(self) -> int:
        """Workers that talk."""
        return len(self._speakers)

    @property
    def store_trouble(self) -> StoreTrouble | None:
        """What keeps at least half of the workers from reading or writing; what hardly lasted is not worth a word."""
        told = [said.store_trouble for said in self._speakers.values() if said.store_trouble is not None]
        told += self._silent.values()
        lasting = [trouble for trouble in told if trouble.for_s >= _TROUBLE_S]
        if not lasting or 2 * len(told) < len(self._speakers):
            return None
        return max(lasting, key=lambda trouble: (_TROUBLES.index(trouble.kind), trouble.for_s))

    def waits_for(self, now: float) -> tuple[str, ...]:
        """What holds at least half of the workers back; the endpoint, if it does not want to be asked."""
        facts = self.pool.facts(now)
        if facts.is_down or facts.backoff_s > 0:
            return (THE_ENDPOINT,)
        counts = Counter(word for said in self._speakers.values() for word in said.waits_for)
        return tuple(word for word, count in counts.items() if 2 * count >= len(self._speakers))


def _settled(progress: ShardProgress) -> ShardProgress:
    """What was not written down by a pod that has ended never will be."""
    return progress.model_copy(update={"unwritten_succeeded": 0, "unwritten_errors": {}})
