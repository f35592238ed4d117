"""Everything that a decision about one batch looks at, at one moment; and what it may decide to do. Values only."""

from dataclasses import dataclass, field
from datetime import datetime

from llmbatch_contract.pods import CanaryCounts, FinalCounts, PodError, Stage
from llmbatch_contract.reports import Command, PlanFacts, Spent, StopReason, StoreTrouble, Trouble
from llmbatch_contract.spec import LLMBatchSpec, Output
from llmbatch_contract.status import CanaryResult, Condition, ConditionType, LLMBatchStatus, Phase, Reason
from llmbatch_contract.trace import BatchTrace
from llmbatch_operator.endpoint_marks import Mark
from llmbatch_operator.facts import BatchRef, JobFacts, PodFacts
from llmbatch_operator.places import Letters


@dataclass(frozen=True)
class Fact:
    """What a condition shall say from now on."""

    holds: bool
    reason: Reason
    message: str = ""


@dataclass(frozen=True)
class Down:
    """The endpoint answers nothing."""

    since_s: float
    trouble: Trouble | None = None
    """As a worker told of it last."""


@dataclass(frozen=True)
class Talk:
    """What the workers have said, as far as decisions need it."""

    plan: PlanFacts | None = None
    final: FinalCounts | None = None
    stop: StopReason | None = None
    stop_is_policy: bool = False
    """The batch stops because too many items failed, not because of one failure."""
    paused_s: float | None = None
    """How long workers have been told to pause."""
    is_drained: bool = False
    """Told to pause, all workers have nothing in flight and nothing unwritten."""
    store_full: str | None = None
    store_trouble: StoreTrouble | None = None
    """What keeps most of the workers from reading or writing, where the store is not the built-in one."""
    down: Down | None = None
    has_answered: bool = False
    """The endpoint has answered somebody since this operator started."""
    spent: Spent = field(default_factory=Spent)
    """By all workers, earlier ones and requests in flight included."""
    budget_is_spent: bool = False
    waits_for: tuple[str, ...] = ()
    """What holds most of the workers back now, as `requests/min` or `the endpoint`; empty: nothing."""


@dataclass(frozen=True)
class Observed:
    """One batch."""

    ref: BatchRef
    generation: int
    spec: LLMBatchSpec | None
    """With the LLMEndpoint's URL, limits and prices in place of the reference to it, as far as there is one.

    None: it is not valid; `problems` says why.
    """
    trace: BatchTrace
    problems: str = ""
    status: LLMBatchStatus | None = None
    jobs: dict[Stage, JobFacts] = field(default_factory=dict)
    pods: tuple[PodFacts, ...] = ()
    talk: Talk = Talk()
    canary: CanaryCounts | None = None
    """What the canary's pod said at its end."""
    mark: Mark | None = None
    """Which endpoint pods shall ask; None while it is not known."""
    endpoint_problem: Fact | None = None
    """Why the LLMEndpoint cannot be used now."""
    must_hold_for_endpoint: bool = False
    """Nothing may be started or asked because of that problem. Else it goes on with what the LLMEndpoint was before."""
    output: Output = field(default_factory=Output)
    """Where its outputs go, though the rest of the spec may not be valid."""
    letters: Letters | None = None
    """The dead letters that it asks about, if they are not in the built-in store."""

    def condition(self, type_: ConditionType) -> Condition | None:
        """The condition if it is True."""
        conditions = self.status.conditions if self.status is not None else []
        return next((c for c in conditions if c.type is type_ and c.status == "True"), None)

    @property
    def letters_mark(self) -> str:
        """Of Jobs whose pods can read these dead letters; empty for none."""
        return self.letters.mark if self.letters is not None else ""

    def pods_of(self, *stages: Stage) -> list[PodFacts]:
        """Pods that have not ended."""
        return [p for p in self.pods if p.stage in stages and not p.is_over]

    def is_at_rest(self, stage: Stage) -> bool:
        """No pod of the stage runs or is about to."""
        job = self.jobs.get(stage)
        return (job is None or job.is_at_rest) and not self.pods_of(stage)

    def error_of(self, stage: Stage) -> PodError | None:
        """What a pod of the stage said of its end, if one failed in words."""
        errors = [p.last_words.error for p in self.pods if p.stage is stage and p.last_words is not None]
        return next((e for e in reversed(errors) if e is not None), None)

    def why_failed(self, stage: Stage) -> str:
        """How the last pod of a stage ended that Kubernetes has given up: in its words, else by its end."""
        if (error := self.error_of(stage)) is not None:
            return error.message
        ends = [p.ended_by for p in self.pods if p.stage is stage and p.phase == "Failed" and p.ended_by is not None]
        job = self.jobs.get(stage)
        return ends[-1] if ends else (job.failure if job is not None else None) or "unknown"

    @property
    def start_time(self) -> datetime | None:
        """When the operator began with it."""
        return self.status.start_time if self.status is not None else None


@dataclass(frozen=True)
class CreateJob:
    """Start a stage."""

    stage: Stage
    shards: int = 1
    parallelism: int = 1
    stop: StopReason | None = None
    """For finalize: why items may lack a record."""


@dataclass(frozen=True)
class SetParallelism:
    """Change how many pods run at once."""

    job: str
    parallelism: int


@dataclass(frozen=True)
class SetSuspend:
    """Let a Job's pods end, or start again."""

    job: str
    suspend: bool


@dataclass(frozen=True)
class DeleteJob:
    """Remove a Job and its pods."""

    job: str


@dataclass(frozen=True)
class DeleteBatch:
    """Remove the LLMBatch: its time is over."""


Action = CreateJob | SetParallelism | SetSuspend | DeleteJob | DeleteBatch


@dataclass(frozen=True)
class Decision:
    """What to do, and what to say about it."""

    phase: Phase
    actions: tuple[Action, ...] = ()
    facts: dict[ConditionType, Fact] = field(default_factory=dict)
    command: Command = Command.RUN
    again_after_s: float | None = None
    """When time alone may change the decision."""
    waiting_for: str | None = None
    """What holds the batch, in a word or two."""
    canary: CanaryResult | None = None
    """What the canary has shown, once it is over."""
