"""The status of an LLMBatch on a cluster: what the operator writes and everybody else reads.

Descriptions here become the status part of the CRD. It stays a few kilobytes whatever the number of items. A reader
passes over what a newer operator may have added. How the values come about is the operator's business.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, PlainSerializer

from llmbatch_contract.categories import Category
from llmbatch_contract.model import Model


class Phase(StrEnum):
    """Where a batch stands, in one word; derived from its conditions."""

    PENDING = "Pending"
    """Nothing runs yet."""
    PLANNING = "Planning"
    """The input is being read and divided into shards."""
    CANARY = "Canary"
    """A few items are asked first."""
    AWAITING_APPROVAL = "AwaitingApproval"
    """The canary is done; somebody has to say that the batch may go on. No pods."""
    RUNNING = "Running"
    """Items are being asked."""
    SUSPENDED = "Suspended"
    """Held: by `spec.suspend`, its budget or its window; no pods."""
    FINALIZING = "Finalizing"
    """Results and errors are being written."""
    SUCCEEDED = "Succeeded"
    """Every item succeeded."""
    COMPLETED_WITH_ERRORS = "CompletedWithErrors"
    """Every item was tried and some failed."""
    FAILED = "Failed"
    """The batch stopped before its end, or never began."""
    CANCELLED = "Cancelled"
    """Ended early by `spec.cancel`."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self in _FINAL


_FINAL = frozenset({Phase.SUCCEEDED, Phase.COMPLETED_WITH_ERRORS, Phase.FAILED, Phase.CANCELLED})


class ConditionType(StrEnum):
    """What a condition is about."""

    PLANNED = "Planned"
    """The input is divided into shards."""
    SUSPENDED = "Suspended"
    """The batch is held."""
    CANARY_PASSED = "CanaryPassed"
    """The first items went well enough, or somebody has approved; False: the batch waits for approval."""
    BUDGET_EXCEEDED = "BudgetExceeded"
    """The budget is spent."""
    ENDPOINT_DOWN = "EndpointDown"
    """The endpoint answers nothing; the batch waits and one pod asks now and then."""
    ERROR_RATE_HIGH = "ErrorRateHigh"
    """More items fail than `alerts.errorPercent`."""
    SLOW = "Slow"
    """It goes `alerts.slowFactor` times slower than expected."""
    STALLED = "Stalled"
    """Nothing was answered for `alerts.stalledMinutes`."""
    BLOCKED = "Blocked"
    """Something that somebody else has to put right keeps the batch from going on."""
    STOPPING = "Stopping"
    """The batch ends before all items are answered."""
    COMPLETE = "Complete"
    """Every item was tried; results and errors are written."""
    FAILED = "Failed"
    """The batch has failed; what was answered is in results and errors."""
    CANCELLED = "Cancelled"
    """The batch was cancelled; what was answered is in results and errors."""
    DELIVERED = "Delivered"
    """All results were posted to `deliver.url`; False: some are in `undelivered.jsonl`."""


class Reason(StrEnum):
    """Why a condition is as it is; the same words name events."""

    ACCEPTED = "Accepted"
    """The batch was read and is valid."""
    INVALID_SPEC = "InvalidSpec"
    """The spec holds a mistake that the API server did not see; the message names it."""
    PLANNING = "Planning"
    """The input is being read."""
    PLANNED = "Planned"
    """The input was read and divided into shards."""
    INPUT_INVALID = "InputInvalid"
    """The input holds a mistake; the message names the line or the field."""
    INPUT_MISSING = "InputMissing"
    """What holds the items is not there: an object, a file, a ConfigMap, the batch with the dead letters."""
    OUTPUT_MISSING = "OutputMissing"
    """The bucket or container of `output.uri` is not there."""
    OUTPUT_TAKEN = "OutputTaken"
    """Another batch has written to the same place, or writes there; nothing was asked."""
    RUNNING = "Running"
    """Pods are asking."""
    SUSPENDED = "Suspended"
    """`spec.suspend` is set; the pods have ended."""
    RESUMED = "Resumed"
    """`spec.suspend` was taken back."""
    OUTSIDE_WINDOW = "OutsideWindow"
    """It is not time yet: `spec.window` is closed; the message says when it opens."""
    BUDGET_EXCEEDED = "BudgetExceeded"
    """The budget is spent; raise it and the batch goes on."""
    BUDGET_RAISED = "BudgetRaised"
    """There is something left of the budget again."""
    CANARY = "Canary"
    """A few items are asked first."""
    CANARY_PASSED = "CanaryPassed"
    """Few enough of the first items failed."""
    CANARY_FAILED = "CanaryFailed"
    """More of the first items failed than `canary.maxFailurePercent`; the batch waits for approval."""
    APPROVAL_NEEDED = "ApprovalNeeded"
    """The first items went well; `canary.approve` says that somebody has to look."""
    APPROVED = "Approved"
    """`canary.approved` is set."""
    ENDPOINT_DOWN = "EndpointDown"
    """The endpoint answers nothing; the message holds what was seen last."""
    ENDPOINT_ANSWERS = "EndpointAnswers"
    """The endpoint answers again."""
    ENDPOINT_MISSING = "EndpointMissing"
    """There is no LLMEndpoint of that name."""
    ENDPOINT_FORBIDDEN = "EndpointForbidden"
    """The LLMEndpoint does not allow batches of this namespace."""
    ENDPOINT_INVALID = "EndpointInvalid"
    """The LLMEndpoint holds a mistake, or lacks what the batch needs of it, such as prices for a budget."""
    ENDPOINT_CHANGED = "EndpointChanged"
    """The LLMEndpoint has another URL, key or headers; pods are being replaced."""
    ERROR_RATE_HIGH = "ErrorRateHigh"
    """More items fail than `alerts.errorPercent`."""
    SLOW = "Slow"
    """It goes `alerts.slowFactor` times slower than expected."""
    STALLED = "Stalled"
    """Nothing was answered for `alerts.stalledMinutes`."""
    RECOVERED = "Recovered"
    """What an alarm was about is over."""
    NOTIFY_FAILED = "NotifyFailed"
    """A webhook could not be delivered; the batch goes on. An Event only."""
    DELIVERED = "Delivered"
    """`deliver.url` took all results."""
    NOT_DELIVERED = "NotDelivered"
    """`deliver.url` did not take all results; the message says why. The others are in `undelivered.jsonl`."""
    RECEIVER_AWAY = "ReceiverAway"
    """`deliver.url` does not take a request; it is tried again for a quarter of an hour, the message says why."""
    SECRET_MISSING = "SecretMissing"
    """The Secret of the API key, or its key, is not there."""
    IMAGE_PULL_FAILED = "ImagePullFailed"
    """The worker's image cannot be pulled."""
    UNSCHEDULABLE = "Unschedulable"
    """No node has room for the pods, or none fits them."""
    PODS_FAIL = "PodsFail"
    """Pods fail again and again; the message says how the last one ended. Kubernetes tries some more."""
    REFUSED = "Refused"
    """The API server refuses a Job or another object of the batch: a quota, a policy, a field that no pod may have."""
    STORE_FULL = "StoreFull"
    """The store has no space left; pods wait until it has."""
    STORE_AWAY = "StoreAway"
    """The store cannot be reached; pods wait until it can."""
    STORE_DENIED = "StoreDenied"
    """The store refuses the credentials, or they lack a permission; the message says which."""
    STOPPED_BY_FAILURE = "StoppedByFailure"
    """A failure on which the batch stops: `failurePolicy.stopOn`."""
    FAILURE_POLICY_EXCEEDED = "FailurePolicyExceeded"
    """More items failed than `failurePolicy.maxFailurePercent` allows."""
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    """`activeDeadlineSeconds` are over."""
    CANCELLED = "Cancelled"
    """`spec.cancel` is set."""
    WORKERS_FAILED = "WorkersFailed"
    """Pods failed more often than is worth trying; the message tells of the last one."""
    SUCCEEDED = "Succeeded"
    """Every item succeeded."""
    COMPLETED_WITH_ERRORS = "CompletedWithErrors"
    """Every item was tried and some failed."""
    NOT_BLOCKED = "NotBlocked"
    """Nothing keeps the batch from going on."""
    FINALIZING = "Finalizing"
    """Results and errors are being written."""
    INVARIANT_BROKEN = "InvariantBroken"
    """An item was found in none or both of results and errors; nothing was published."""


def _whole_second(value: datetime) -> datetime:
    return value.replace(microsecond=0)


def _rfc3339(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


Time = Annotated[AwareDatetime, AfterValidator(_whole_second), PlainSerializer(_rfc3339, when_used="json")]
"""A moment to the second, as Kubernetes writes them, so that a status read back equals the one written."""

Count = Annotated[int, Field(ge=0)]


class StatusPart(Model):
    """Base of the status and its parts: unknown names are passed over."""

    model_config = ConfigDict(extra="ignore")


class Condition(StatusPart):
    """One condition, as Kubernetes knows them."""

    type: ConditionType = Field(description="What it is about.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: Reason = Field(description="Why, in one word.")
    message: str = Field(default="", description="Why, in a sentence.")
    last_transition_time: Time = Field(description="When `status` changed last.")
    observed_generation: int | None = Field(default=None, ge=0, description="Generation of the batch it speaks of.")


class ItemCounts(StatusPart):
    """Where the items are. Each is in one of these, and they add up to `total`."""

    total: Count = Field(default=0, description="All items of the input.")
    pending: Count = Field(default=0, description="Not yet asked, or waiting to be asked again.")
    running: Count = Field(default=0, description="Being asked.")
    succeeded: Count = Field(default=0, description="Answered; the answer is kept.")
    failed: Count = Field(default=0, description="Given up; they are dead letters.")
    cancelled: Count = Field(default=0, description="The batch ended before they were answered; also dead letters.")


class ShardCounts(StatusPart):
    """Where the shards are."""

    total: Count = Field(default=0, description="All shards.")
    active: Count = Field(default=0, description="Being worked on.")
    succeeded: Count = Field(default=0, description="Every item has a result or an error.")
    failed: Count = Field(default=0, description="Given up, because their pods failed too often.")


class TokenCounts(StatusPart):
    """Tokens of all answers so far, as the endpoint counts them."""

    input_tokens: Count = Field(default=0, description="Of prompts.")
    output_tokens: Count = Field(default=0, description="Of answers.")
    cached_tokens: Count = Field(default=0, description="Of prompts, read from a cache; part of `inputTokens`.")
    reasoning_tokens: Count = Field(default=0, description="Of reasoning; part of `outputTokens`.")
    total_tokens: Count = Field(default=0, description="Of prompts and answers.")


class Cost(StatusPart):
    """What the tokens cost, where the endpoint has `pricing`."""

    amount: float = Field(description="In `currency`.")
    currency: str = Field(description="As in `pricing`.")
    display: str = Field(description="Both as text, as in `1.23 USD`.")


class LatencyMs(StatusPart):
    """How long requests took, in milliseconds."""

    p50: float | None = Field(default=None, description="Half of the requests took no longer, in milliseconds.")
    p95: float | None = Field(default=None, description="95 % of the requests took no longer, in milliseconds.")
    p99: float | None = Field(default=None, description="99 % of the requests took no longer, in milliseconds.")


class ErrorTally(StatusPart):
    """How many items failed for one reason, and one of them."""

    category: Category = Field(description="Why they failed.")
    count: Count = Field(description="Items that failed so.")
    sample_item: str | None = Field(default=None, description="Id of one such item.")
    sample_message: str | None = Field(default=None, description="What the endpoint or LLMBatch said about it.")


class InputFacts(StatusPart):
    """The input as it was found."""

    format: str = Field(description="How the items are written: `jsonl`, `csv`, `parquet`, `openai`.")
    packing: str = Field(default="none", description="How the objects are packed: `none`, `gzip`, `zstd`.")
    objects: Count = Field(default=0, description="Files or objects; 0 for inline items and dead letters.")
    bytes: Count = Field(default=0, description="Bytes of all of them, as they are stored.")


class OutputPlaces(StatusPart):
    """Where the outputs are, once they are written."""

    results: str = Field(description="Answered items.")
    errors: str = Field(description="Dead letters, `errors.jsonl`.")
    summary: str = Field(description="The record of the batch, `summary.json`.")


class CanaryResult(StatusPart):
    """What the first items showed."""

    items: Count = Field(description="Items that were asked.")
    succeeded: Count = Field(default=0, description="Those that were answered.")
    failed: Count = Field(default=0, description="Those that failed.")
    failure_percent: float = Field(default=0, ge=0, le=100, description="Share that failed.")
    items_per_minute: float | None = Field(default=None, ge=0, description="Speed of the one pod that asked.")
    projected_cost: Cost | None = Field(default=None, description="Cost of the whole batch at that rate.")
    projected_tokens: Count | None = Field(default=None, description="Tokens of the whole batch at that rate.")
    projected_duration: str | None = Field(
        default=None, description="Time for the whole batch with all its pods and under its limits, as in `3h20m`."
    )
    projected_items_per_minute: float | None = Field(default=None, ge=0, description="Speed of all pods together.")


class Delivery(StatusPart):
    """What became of telling a webhook about one occasion."""

    id: str = Field(description="Of the delivery, the same at every try.")
    event: str = Field(description="What it was told.")
    delivered: bool = Field(description="Whether it has answered with 2xx; false: it was given up.")


class LLMBatchStatus(StatusPart):
    """Where a batch stands, as the operator sees it. Numbers may be late, never wrong."""

    phase: Phase = Field(description=f"Where the batch stands: {', '.join(Phase)}.")
    observed_generation: int | None = Field(
        default=None, ge=0, description="Generation of the spec that the status speaks of."
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        description="Where the batch stands in detail, with reasons.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    items: ItemCounts | None = Field(default=None, description="How many items there are, and where they are.")
    input: InputFacts | None = Field(default=None, description="The input as it was found.")
    shards: ShardCounts | None = Field(default=None, description="How many shards there are, and where they are.")
    progress: str | None = Field(default=None, description="Share of items that are done, as in `42%`.")
    items_per_minute: float | None = Field(default=None, ge=0, description="Items that are being done in a minute.")
    time_left: str | None = Field(default=None, description="Time until the end at the present rate, as in `3m20s`.")
    estimated_completion_time: Time | None = Field(default=None, description="The end at the present rate.")
    usage: TokenCounts | None = Field(default=None, description="Tokens used so far.")
    cost: Cost | None = Field(default=None, description="What they cost, where the endpoint has `pricing`.")
    latency: LatencyMs | None = Field(default=None, description="How long requests took, in milliseconds.")
    errors: list[ErrorTally] = Field(
        default_factory=list, description="Why items failed: the most frequent categories, and a sample of each."
    )
    attempts: Count | None = Field(
        default=None, description="Requests about the items that have a result or an error, failed requests included."
    )
    retries: Count | None = Field(default=None, description="Requests beyond the first of each item.")
    resent_items: Count | None = Field(
        default=None, description="Items that may have been sent twice because a pod died."
    )
    canary: CanaryResult | None = Field(default=None, description="What the first items showed.")
    next_start_time: Time | None = Field(default=None, description="When `spec.window` opens, while it is closed.")
    waiting_for: str | None = Field(
        default=None, description="What the batch waits for, in a word or two: a limit, its endpoint, approval."
    )
    deliveries: list[Delivery] = Field(
        default_factory=list, max_length=100, description="What webhooks were told, the last ones."
    )
    trace_id: str | None = Field(default=None, description="Id of the trace that the batch is.")
    output: OutputPlaces | None = Field(default=None, description="Where the outputs are, once they are written.")
    start_time: Time | None = Field(default=None, description="When the operator began with the batch.")
    completion_time: Time | None = Field(default=None, description="When the batch ended.")
