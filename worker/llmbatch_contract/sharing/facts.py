"""What goes into sharing an endpoint and what comes out of it: values only."""

from dataclasses import dataclass, field
from typing import Self

from llmbatch_contract.reports import Grant, Outage, PushBackKind, Trouble
from llmbatch_contract.sharing.amounts import DIMENSIONS as DIMENSIONS
from llmbatch_contract.spec import Limits

Key = tuple[str, str]
"""Batch and worker."""


@dataclass(frozen=True, slots=True)
class Member:
    """A worker that uses an endpoint, and for whom."""

    namespace: str
    batch: str
    """Its uid."""
    worker: str
    """Its pod."""
    weight: float = 100

    @property
    def key(self) -> Key:
        """What tells it from others: names of pods repeat in other namespaces."""
        return self.batch, self.worker


@dataclass(frozen=True, slots=True)
class Share:
    """What a worker is told of its endpoint."""

    grant: Grant
    """Without its budget, which is the batch's."""
    backoff_s: float
    """Send nothing for so long."""
    outage: Outage | None
    is_urgent: bool = False
    """The next report should come soon: others wait for what this worker gives up."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """Amounts of each limit; 0 where there is none."""

    requests_per_minute: float = 0
    tokens_per_minute: float = 0
    input_tokens_per_minute: float = 0
    concurrency: float = 0

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.requests_per_minute + other.requests_per_minute,
            self.tokens_per_minute + other.tokens_per_minute,
            self.input_tokens_per_minute + other.input_tokens_per_minute,
            self.concurrency + other.concurrency,
        )


@dataclass(frozen=True, slots=True)
class BatchShare:
    """How one batch uses an endpoint."""

    granted: Amounts
    used: Amounts
    pods: int
    waiting_pods: int


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """How an endpoint is used, at one moment. Ages are in seconds."""

    batches: int
    pods: int
    """Those that report."""
    waiting_pods: int
    """Those that could send and have no share."""
    granted: Amounts
    used: Amounts
    limits: Limits
    """As stated."""
    effective: Limits
    """Stated or found, whichever is less."""
    by_batch: dict[str, BatchShare] = field(default_factory=dict)
    is_down: bool = False
    down_since_s: float | None = None
    trouble: Trouble | None = None
    """What was seen last, while it is down."""
    throttled_since_s: float | None = None
    """Less than the stated limits is sent since then, or a wait was asked for."""
    backoff_s: float = 0
    push_backs: dict[PushBackKind, int] = field(default_factory=dict)
    """Since the start."""
    slowdowns: int = 0
    """Bursts of push-backs that made it slower."""
    last_error: str | None = None
    last_error_ago_s: float | None = None
    has_answered: bool = False
