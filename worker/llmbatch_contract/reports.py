"""The conversation between a worker and whoever coordinates it: reports up, replies down.

A local run carries it over a pipe or a call; a cluster over HTTPS. All numbers in a report are absolute, so a lost
message costs freshness and nothing else.
"""

from enum import StrEnum

from pydantic import Field

from llmbatch_contract.categories import Category
from llmbatch_contract.model import Model
from llmbatch_contract.progress import ShardProgress


class Grant(Model):
    """What a worker may use. None: no limit."""

    number: int = 0
    """Counts up; a report says which grant the worker holds."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    input_tokens_per_minute: float | None = None
    concurrency: int | None = None


class Demand(Model):
    """What a worker could use if it were allowed to. None: all it can get."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    input_tokens_per_minute: float | None = None
    concurrency: int | None = None


class StopReason(Model):
    """Why a batch stops before its end."""

    category: Category
    message: str


class PlanFacts(Model):
    """What is known once a batch is planned."""

    items: int
    shards: int
    input_tokens_estimate: int = 0
    misfits: int = 0
    """Items that will be dead letters because a template does not fit them."""
    first_misfit: str | None = None


class Report(Model):
    """What a worker says every second or so."""

    worker: str
    plan: PlanFacts | None = None
    """Of the batch; None before it is planned."""
    shards: list[ShardProgress] = Field(default_factory=list)
    """Shards it works on, and those it finished since the last report that was answered."""
    in_flight: int = 0
    waiting: dict[Category, int] = Field(default_factory=dict)
    """Items that wait to be asked again, by the failure that they wait after."""
    largest_tokens: float = 0
    """Tokens of the largest request so far, by estimate."""
    holds: int = 0
    """Number of the grant in use; 0 before the first."""
    demand: Demand = Demand()
    backoff_seconds: float = 0
    """How long the endpoint asked everybody to wait, as seen by this worker."""
    stop: StopReason | None = None
    """The worker has seen a failure on which the batch stops."""
    leaving: bool = False
    """The last report: the worker sends no more requests."""


class Command(StrEnum):
    """What a worker shall do."""

    RUN = "run"
    PAUSE = "pause"
    """Send nothing new until told to run."""
    STOP = "stop"
    """Send nothing new, let requests in flight end for a short while, write everything down, exit."""


class Reply(Model):
    """What a worker is told."""

    command: Command = Command.RUN
    grant: Grant = Grant()
    backoff_seconds: float = 0
    """Send nothing for so long: another worker was told to wait."""
    next_report_seconds: float = 1.0
