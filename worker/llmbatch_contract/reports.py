"""The conversation between a worker and whoever coordinates it: reports up, replies down.

A local run carries it over a pipe or a call; a cluster over HTTPS. All numbers in a report are absolute, so a lost
message costs freshness and nothing else.
"""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from llmbatch_contract.categories import Category
from llmbatch_contract.model import Model
from llmbatch_contract.progress import ShardProgress

LEASE_S = 300.0
"""A worker that has no reply for so long sends nothing more, until it has one; then its share is free for others.

Counted by the worker from when it sent the report that was answered last, on a clock that goes on while it is stopped.
"""


class Allowance(Model):
    """What a worker may spend of a budget, counted from its start. None: no limit."""

    tokens: float | None = None
    cost: float | None = None
    """In the currency of the batch's prices."""


class Grant(Model):
    """What a worker may use. None: no limit."""

    number: int = 0
    """Counts up; a report says which grant the worker holds."""
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    input_tokens_per_minute: float | None = None
    concurrency: int | None = None
    budget: Allowance = Allowance()

    def lapsed(self) -> "Grant":
        """What is left of it when the lease is over: its number, and the budget, which does not lapse.

        What had no limit has ended as well: there may be one by now.
        """
        names = ("requests_per_minute", "tokens_per_minute", "input_tokens_per_minute", "concurrency")
        return self.model_copy(update=dict.fromkeys(names, 0))


class Demand(Model):
    """What a worker could use if it were allowed to. None: all it can get."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    input_tokens_per_minute: float | None = None
    concurrency: int | None = None
    possible_requests_per_minute: float | None = None
    """More than these it could not send whatever the limits: that is how long answers take. None: not known."""


class Used(Model):
    """What a worker has used of each limit in the last ten seconds or so, per minute; and what it has in flight."""

    requests_per_minute: float = 0
    tokens_per_minute: float = 0
    input_tokens_per_minute: float = 0
    concurrency: int = 0


class Spent(Model):
    """What a worker's answers have used since it began, whatever became of the items."""

    tokens: int = 0
    cost: float = 0
    """In the currency of the batch's prices; 0 without prices."""
    in_flight_tokens: float = 0
    """Of requests in flight, by estimate."""
    in_flight_cost: float = 0


class PushBackKind(StrEnum):
    """How an endpoint says that it is asked too much."""

    RATE_LIMITED = "rate_limited"
    """429: too many requests or tokens a minute."""
    OVERLOADED = "overloaded"
    """503, 529 or no answer in time: too many at once."""
    SLOW = "slow"
    """Answers take much longer than they used to."""


class PushBack(Model):
    """Push-backs of one kind since the last report that was answered."""

    kind: PushBackKind
    count: int
    sent_ago_s: float
    """How long before this report the youngest of these requests was sent: one sent before everybody slowed down says
    nothing new."""
    message: str = ""
    """What the endpoint said."""


class Trouble(Model):
    """The endpoint answers nothing: requests fail by the connection, or by 5xx, and none has succeeded since."""

    category: Category
    message: str
    failures: int
    """In a row."""
    for_s: float
    """Since the first of them."""


class Outage(Model):
    """The endpoint is down, as far as anybody knows: nobody asks but one, who probes."""

    probe: bool = False
    """This worker may send one request at a time."""
    probe_after_s: float = 0
    """How long it waits before each."""


class StoreTrouble(Model):
    """The store of input or output, or the receiver of results, does not do what a worker needs; it tries again."""

    kind: Literal["denied", "away", "full", "taken", "receiver"]
    message: str
    """A sentence: which object, what the store said, which permission or Secret to look at."""
    for_s: float
    """Since the first failure."""


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
    format: str = ""
    """Of the input, as it was found: `csv`, `parquet`."""
    packing: str = ""
    objects: int = 0
    """Files or objects of the input; 0 for inline items."""
    bytes: int = 0
    """Of all of them."""


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
    """Tokens of the largest request of the last minute or that waits, by estimate: no larger one is sent untold."""
    holds: Grant = Grant()
    """The grant in use, whole: a coordinator that has just started learns from it what is out. Number 0: none yet.

    A worker whose lease is over says `holds.lapsed()`: its share may be somebody else's by now.
    """
    demand: Demand = Demand()
    used: Used = Used()
    spent: Spent = Spent()
    waits_for_budget: bool = False
    """The next request is larger than what is left of the allowance."""
    push_backs: list[PushBack] = Field(default_factory=list)
    trouble: Trouble | None = None
    store_trouble: StoreTrouble | None = None
    backoff_seconds: float = 0
    """How long the endpoint asked everybody to wait, as seen by this worker."""
    stop: StopReason | None = None
    """The worker has seen a failure on which the batch stops."""
    asks: bool = True
    """False: a pod that plans or finalizes, and tells only what its stores wait for."""
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
    outage: Outage | None = None
    next_report_seconds: float = 1.0
