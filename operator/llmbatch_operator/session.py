"""What workers say about one batch while it runs: counts, plan, stop, and what they are told. No I/O, no clock.

A session is made anew after a restart and filled from reports and from pods' last words; until it has caught up, the
counts of the status stand.
"""

from dataclasses import dataclass, field

from llmbatch_contract.coordination import Coordinator
from llmbatch_contract.pace import Speedometer
from llmbatch_contract.pods import FinalCounts, LastWords
from llmbatch_contract.progress import BatchProgress, Sample, ShardProgress
from llmbatch_contract.reports import Command, PlanFacts, Reply, Report, StopReason
from llmbatch_contract.spec import LLMBatchSpec

_MOST_SHARDS = 10_000
_SAMPLE_CHARS = 1000


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


@dataclass
class Session:
    """One batch that runs."""

    spec: LLMBatchSpec
    answered_before: int = 0
    """Items that the status counts as answered when the session begins."""
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

    def __post_init__(self) -> None:
        self.coordinator = Coordinator(
            limits=self.spec.endpoint.limits,
            policy=self.spec.failure_policy,
            progress=BatchProgress(0, 0),
            report_every_s=self.report_every_s,
            answered_before=self.answered_before,
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
        """The spec was changed: limits and failure policy hold from now on."""
        self.spec = spec
        self.coordinator.policy = spec.failure_policy
        self.coordinator.set_limits(spec.endpoint.limits)

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
        self.heard_since = now if self.heard_since is None else self.heard_since
        self.plan = self.plan or report.plan  # it never changes, and the pod that made it says most
        self.stopped_by_worker = self.stopped_by_worker or report.stop
        self.coordinator.report_every_s = self.report_every_s
        known = self._speakers.get(report.worker)
        if report.leaving:
            self._speakers.pop(report.worker, None)
        else:
            unwritten = sum(s.unwritten_succeeded + s.unwritten_failed for s in report.shards)
            told = known is not None and self.paused_since is not None and known.at >= self.paused_since
            due = now + self.report_every_s
            self._speakers[report.worker] = _Speaker(now, report.in_flight, unwritten, told, due)
        plausible = [_bounded(s) for s in report.shards if s.shard < self._most_shards]
        return self.coordinator.reply(report.model_copy(update={"shards": plausible}), now)

    def late_s(self, worker: str, now: float) -> float | None:
        """How much later than it was asked for a report comes now; None if it is the worker's first."""
        known = self._speakers.get(worker)
        return None if known is None else max(0.0, now - known.due)

    @property
    def _most_shards(self) -> int:
        return min(self.plan.shards, _MOST_SHARDS) if self.plan is not None else _MOST_SHARDS

    def heard_last_words(self, worker: str, words: LastWords) -> None:
        """A pod has ended."""
        self.lost(worker)
        self.plan = self.plan or words.plan
        self.final = words.final or self.final
        if words.progress is not None:
            self.progress.merge(_settled(words.progress))
        if words.stop is not None:
            self.stopped_by_worker = self.stopped_by_worker or words.stop
            self.coordinator.stop = self.coordinator.stop or words.stop

    def lost(self, worker: str) -> None:
        """A pod has ended or is gone."""
        self._speakers.pop(worker, None)
        self.coordinator.lost(worker)

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


def _bounded(progress: ShardProgress) -> ShardProgress:
    """A pod runs whatever image its batch names: what it says shall not fill the operator's memory."""
    if all(len(s.message) <= _SAMPLE_CHARS and len(s.item_id) <= _SAMPLE_CHARS for s in progress.samples.values()):
        return progress
    cut = {
        category: Sample(item_id=s.item_id[:_SAMPLE_CHARS], message=s.message[:_SAMPLE_CHARS])
        for category, s in progress.samples.items()
    }
    return progress.model_copy(update={"samples": cut})


def _settled(progress: ShardProgress) -> ShardProgress:
    """What was not written down by a pod that has ended never will be."""
    return progress.model_copy(update={"unwritten_succeeded": 0, "unwritten_errors": {}})
