"""The LLMBatch manifest as models: the one schema of the command line, the docs and the cluster's API.

Descriptions here become `docs/reference.md` and the CRD. Rules that need more than one field are `model_validator`s
whose messages start with the field they are about, so that validation.py can point at it; the same rule in CEL stands
in the model's `json_schema_extra`. The larger parts have files of their own; others import all of them from here.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from llmbatch_contract.categories import STOPS_BY_DEFAULT, Category
from llmbatch_contract.cel import immutable, rule, rules
from llmbatch_contract.endpoint import Endpoint, Limits, SecretKey
from llmbatch_contract.holding import Alerts, Approval, Budget, Canary, Occasion, Webhook, Window
from llmbatch_contract.input import DeadLettersOf, Input, InputFormat, ItemSample, Packing
from llmbatch_contract.model import SpecModel
from llmbatch_contract.output import Deliver, Layout, Output, OutputFormat
from llmbatch_contract.pod_template import EnvVar, Resources, Worker
from llmbatch_contract.request import Api, Message, Request
from llmbatch_contract.storage import ConfigMapKey, CredentialsSecret, ObjectStore, VolumeClaim

__all__ = [
    "API_VERSION",
    "KIND",
    "Alerts",
    "Api",
    "Approval",
    "Budget",
    "Canary",
    "ConfigMapKey",
    "CredentialsSecret",
    "DeadLettersOf",
    "Deliver",
    "Endpoint",
    "EnvVar",
    "FailurePolicy",
    "Input",
    "InputFormat",
    "ItemSample",
    "LLMBatch",
    "LLMBatchSpec",
    "Layout",
    "Limits",
    "Message",
    "Metadata",
    "ObjectStore",
    "Occasion",
    "Output",
    "OutputFormat",
    "Packing",
    "Request",
    "Resources",
    "Retry",
    "SecretKey",
    "Telemetry",
    "VolumeClaim",
    "Webhook",
    "Window",
    "Worker",
]

API_VERSION = "llmbatch.dev/v1alpha1"
KIND = "LLMBatch"

_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

_NO_NAME = "must be at most 63 lower-case letters, digits and '-', as in my-batch"
_NO_CONCURRENCY = "must be 'auto' or a whole number from 1 to 4096"
_REQUEST_TOO_MANY = "request: an input of format openai holds whole requests; remove it"
_NO_REQUEST = "request: is required, unless input.format is openai"
_NO_MODEL = "model: is required, as in gpt-4.1-mini"
_NO_PRICES = "budget.maxCost: needs prices: give endpoint.pricing, or an LLMEndpoint with pricing"


def _dns_name(value: str) -> str:
    if len(value) > 63 or not _DNS_NAME.fullmatch(value):
        raise ValueError(_NO_NAME)
    return value


def _concurrency(value: object) -> object:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 4096):
        return value
    raise ValueError(_NO_CONCURRENCY)


Concurrency = Annotated[
    int | Literal["auto"],
    BeforeValidator(_concurrency),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            **rules(rule(_NO_CONCURRENCY, "type(self) == int ? self >= 1 && self <= 4096 : self == 'auto'")),
        }
    ),
]


class Retry(SpecModel):
    """How often and how patiently to ask again."""

    max_attempts: int = Field(default=5, ge=1, le=100, description="Attempts an item gets, the first included.")
    initial_seconds: float = Field(default=1, gt=0, le=3600, description="Wait before the second attempt; it doubles.")
    max_seconds: float = Field(default=60, gt=0, le=3600, description="The longest wait of the doubling.")


class FailurePolicy(SpecModel):
    """When to stop rather than to go on failing."""

    max_failure_percent: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="Stop when more than this share of the answered items has failed.",
    )
    min_items: int = Field(default=100, ge=1, description="Items to wait for before `maxFailurePercent` counts.")
    stop_on: list[Annotated[Category, Field(strict=False)]] = Field(
        default_factory=lambda: list(STOPS_BY_DEFAULT),
        description="Categories of which a single failure stops the batch.",
    )


class Telemetry(SpecModel):
    """What the trace of a batch tells of its items."""

    sampled_items: int = Field(
        default=1000,
        ge=0,
        le=1_000_000,
        description="Items with a span of their own, spread over the whole batch. Failed and slow ones come on top.",
    )
    capture_content: bool = Field(
        default=False,
        description="Put prompts and answers into the spans, up to a few thousand characters each.",
    )


class LLMBatchSpec(SpecModel):
    """What a batch is."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(_REQUEST_TOO_MANY, "!has(self.request) || self.input.format != 'openai'"),
            rule(_NO_REQUEST, "has(self.request) || self.input.format in ['openai', 'auto']"),
            rule(_NO_MODEL, "!has(self.request) || has(self.model)"),
            rule(
                _NO_PRICES,
                "!has(self.budget) || !has(self.budget.maxCost) || has(self.endpoint.ref) "
                "|| has(self.endpoint.pricing)",
            ),
            immutable("input", required=True),
            *(immutable(field) for field in ("model", "request", "shardSize", "output", "worker")),
        )
    )

    endpoint: Endpoint = Field(description="Where and how to reach the model.")
    model: str | None = Field(
        default=None,
        min_length=1,
        description="Name of the model. Required, unless the input format is openai.",
    )
    input: Input = Field(description="Where the items are.")
    request: Request | None = Field(
        default=None,
        description="What to ask. Required, unless the input format is openai, whose lines are requests.",
    )
    retry: Retry = Field(default_factory=Retry, description="How often and how patiently to ask again.")
    failure_policy: FailurePolicy = Field(
        default_factory=FailurePolicy, description="When to stop rather than to go on failing."
    )
    parallelism: int = Field(
        default=4,
        ge=1,
        le=1000,
        description="Pods at once, on a cluster. May be changed while the batch runs. Small batches take fewer.",
    )
    shard_size: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Items a shard. Unset: up to 1,000, more in batches over 10 million.",
    )
    concurrency: Concurrency = Field(
        default="auto",
        description="Requests in flight per worker: a number, or `auto` to find what the endpoint bears.",
    )
    request_timeout_seconds: float = Field(default=300, gt=0, le=86400, description="The longest wait for one answer.")
    active_deadline_seconds: int | None = Field(
        default=None,
        ge=1,
        description="The batch stops so long after its start, on a cluster; unanswered items fail as `deadline`.",
    )
    ttl_seconds_after_finished: int | None = Field(
        default=None,
        ge=0,
        description="The batch and its results are deleted so long after its end, on a cluster. Unset: never.",
    )
    priority: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description=(
            "Weight among the batches of a namespace that share an endpoint: one of 200 gets twice the share of one "
            "of 100. May be changed while the batch runs."
        ),
    )
    budget: Budget | None = Field(
        default=None, description="What the batch may spend. At the limit it is held, until the budget is raised."
    )
    canary: Canary | None = Field(
        default=None, description="Ask a few items first, on a cluster; go on if few enough of them fail."
    )
    window: Window | None = Field(
        default=None, description="Hours of the day in which the batch runs, on a cluster. Unset: at any time."
    )
    alerts: Alerts = Field(default_factory=Alerts, description="When to raise an alarm about the batch, on a cluster.")
    notify: list[Webhook] = Field(
        default_factory=list, max_length=10, description="Addresses that are told how the batch goes, on a cluster."
    )
    suspend: bool = Field(
        default=False,
        description="Hold the batch, on a cluster: its pods end, what is answered is kept. `false` lets it go on.",
    )
    cancel: bool = Field(
        default=False,
        description="End the batch early, on a cluster: what is answered becomes results, the rest `cancelled`.",
    )
    output: Output = Field(default_factory=Output, description="Where and how results are written.")
    deliver: Deliver | None = Field(
        default=None, description="A webhook that gets the results themselves, in signed requests, when it is done."
    )
    telemetry: Telemetry = Field(
        default_factory=Telemetry, description="What the trace of the batch tells of its items."
    )
    worker: Worker = Field(default_factory=Worker, description="How the pods of a batch look, on a cluster.")

    @model_validator(mode="after")
    def _request_is_complete(self) -> Self:
        if self.input.format is InputFormat.OPENAI:
            if self.request is not None:
                raise ValueError(_REQUEST_TOO_MANY)
        elif self.request is None and self.input.format is not InputFormat.AUTO:
            raise ValueError(_NO_REQUEST)
        elif self.request is not None and self.model is None:
            raise ValueError(_NO_MODEL)
        return self

    @model_validator(mode="after")
    def _cost_can_be_told(self) -> Self:
        is_priced = self.endpoint.ref is not None or self.endpoint.pricing is not None
        if self.budget is not None and self.budget.max_cost is not None and not is_priced:
            raise ValueError(_NO_PRICES)
        return self


class Metadata(SpecModel):
    """The part of Kubernetes' ObjectMeta that a manifest writes; the rest is passed over."""

    name: Annotated[str, AfterValidator(_dns_name)] = Field(description="Name of the batch.")
    namespace: str = Field(default="default", description="Namespace of the batch.")
    labels: dict[str, str] = Field(default_factory=dict, description="Labels.")
    annotations: dict[str, str] = Field(default_factory=dict, description="Annotations.")


class LLMBatch(SpecModel):
    """One batch: items, a question about each, and where the answers go."""

    model_config = ConfigDict(
        json_schema_extra=rules(rule(f"metadata.name: {_NO_NAME}", "self.metadata.name.size() <= 63"))
    )

    api_version: Literal["llmbatch.dev/v1alpha1"] = Field(description="`llmbatch.dev/v1alpha1`.")
    kind: Literal["LLMBatch"] = Field(description="`LLMBatch`.")
    metadata: Metadata = Field(description="Name, namespace, labels and annotations.")
    spec: LLMBatchSpec = Field(description="What the batch is.")
