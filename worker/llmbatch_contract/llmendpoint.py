"""The LLMEndpoint manifest as models: one endpoint that many batches share, its limits, and who may use it.

Cluster-scoped. Its key is looked up in the namespace of each batch, so no key crosses namespaces. `endpoint_of` makes
of it what a batch's workers are given.
"""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from llmbatch_contract.cel import rule, rules
from llmbatch_contract.endpoint import (
    HEADER_RULES,
    NO_ENDPOINT_NAME,
    PROVIDER_MEANING,
    Endpoint,
    EndpointName,
    Headers,
    Limits,
    Provider,
    SecretKey,
    Url,
    check_headers,
)
from llmbatch_contract.model import SpecModel
from llmbatch_contract.status import Count, StatusPart, Time
from llmbatch_contract.usage import Pricing

KIND = "LLMEndpoint"
PLURAL = "llmendpoints"

ANY_MODEL = "*"
"""Key in `pricing` for models that have no prices of their own."""
ANY_NAMESPACE = "*"


class LLMEndpointSpec(SpecModel):
    """What an endpoint is."""

    model_config = ConfigDict(json_schema_extra=rules(*HEADER_RULES))

    url: Url = Field(description="Base URL of an OpenAI-style API, with `/v1`.")
    provider: Provider | None = Field(default=None, description=PROVIDER_MEANING)
    api_key_secret: SecretKey | None = Field(
        default=None,
        description="The API key: a Secret of this name in the namespace of each batch. Unset: no key is sent.",
    )
    headers: Headers = Field(
        default_factory=dict,
        description="Headers sent with each request. Not for keys: the manifest is not a secret.",
    )
    limits: Limits = Field(
        default_factory=Limits,
        description="Limits that all batches together stay under. Unset: found by what the endpoint bears.",
    )
    pricing: dict[str, Pricing] = Field(
        default_factory=dict,
        max_length=200,
        description=f"Prices by model; those of `{ANY_MODEL}` hold for models that are not named.",
    )
    allowed_namespaces: list[Annotated[str, Field(min_length=1, max_length=63)]] | None = Field(
        default=None,
        max_length=500,
        description=f"Namespaces whose batches may use it; `{ANY_NAMESPACE}` is all of them. Unset: all.",
    )

    @model_validator(mode="after")
    def _headers_can_be_sent(self) -> Self:
        check_headers(self.headers)
        return self

    def allows(self, namespace: str) -> bool:
        """Whether batches of a namespace may use it."""
        allowed = self.allowed_namespaces
        return allowed is None or ANY_NAMESPACE in allowed or namespace in allowed

    def endpoint_of(self, model: str | None) -> Endpoint:
        """What the workers of a batch that asks `model` are given."""
        return Endpoint(
            url=self.url,
            api_key_secret=self.api_key_secret,
            headers=self.headers,
            provider=self.provider,
            limits=self.limits,
            pricing=self.pricing.get(model or "", self.pricing.get(ANY_MODEL)),
        )


class EndpointMetadata(SpecModel):
    """The part of Kubernetes' ObjectMeta that a manifest writes; the rest is passed over."""

    name: EndpointName = Field(description="Name of the endpoint.")
    labels: dict[str, str] = Field(default_factory=dict, description="Labels.")
    annotations: dict[str, str] = Field(default_factory=dict, description="Annotations.")


class LLMEndpoint(SpecModel):
    """An endpoint that batches of many namespaces share."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                f"metadata.name: {NO_ENDPOINT_NAME}",
                "self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",
            )
        )
    )

    api_version: Literal["llmbatch.dev/v1alpha1"] = Field(description="`llmbatch.dev/v1alpha1`.")
    kind: Literal["LLMEndpoint"] = Field(description="`LLMEndpoint`.")
    metadata: EndpointMetadata = Field(description="Name, labels and annotations.")
    spec: LLMEndpointSpec = Field(description="What the endpoint is.")


class EndpointConditionType(StrEnum):
    """What a condition of an endpoint is about."""

    HEALTHY = "Healthy"
    """It answers, as far as is known."""
    THROTTLED = "Throttled"
    """It pushes back: less is sent than its limits allow."""
    DUPLICATE = "Duplicate"
    """Another LLMEndpoint has the same URL and key: their limits add up."""


class EndpointReason(StrEnum):
    """Why a condition of an endpoint is as it is."""

    ANSWERS = "Answers"
    """It has answered."""
    UNUSED = "Unused"
    """Nobody has asked it yet."""
    DOWN = "Down"
    """It cannot be reached or answers no request; one pod asks now and then."""
    PUSHED_BACK = "PushedBack"
    """It has answered that too much was sent."""
    RECOVERED = "Recovered"
    """As much as the limits allow is sent again."""
    SAME_URL_AND_KEY = "SameUrlAndKey"
    """Another LLMEndpoint names the same URL and the same Secret."""
    UNIQUE = "Unique"
    """No other LLMEndpoint has its URL and key any more."""
    INVALID_SPEC = "InvalidSpec"
    """The spec holds a mistake that the API server did not see."""


class EndpointCondition(StatusPart):
    """One condition, as Kubernetes knows them."""

    type: EndpointConditionType = Field(description="What it is about.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: EndpointReason = Field(description="Why, in one word.")
    message: str = Field(default="", description="Why, in a sentence.")
    last_transition_time: Time = Field(description="When `status` changed last.")
    observed_generation: int | None = Field(default=None, ge=0, description="Generation of the endpoint it speaks of.")


class Rates(StatusPart):
    """Amounts of each limit, over all pods."""

    requests_per_minute: float | None = Field(default=None, ge=0, description="Requests a minute.")
    tokens_per_minute: float | None = Field(default=None, ge=0, description="Tokens a minute.")
    input_tokens_per_minute: float | None = Field(default=None, ge=0, description="Tokens of prompts a minute.")
    concurrency: float | None = Field(default=None, ge=0, description="Requests in flight.")


class LLMEndpointStatus(StatusPart):
    """How an endpoint is used, as the operator sees it. Numbers may be some seconds late."""

    observed_generation: int | None = Field(
        default=None, ge=0, description="Generation of the spec that the status speaks of."
    )
    conditions: list[EndpointCondition] = Field(
        default_factory=list,
        description="How the endpoint is, with reasons.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    health: str | None = Field(default=None, description="`Healthy`, `Throttled`, `Down`, `Unused` or `Invalid`.")
    batches: Count = Field(default=0, description="Batches that use it and have not ended.")
    pods: Count = Field(default=0, description="Pods that report.")
    granted: Rates | None = Field(default=None, description="What pods may use together.")
    used: Rates | None = Field(default=None, description="What pods have used in the last seconds.")
    waiting_pods: Count = Field(default=0, description="Pods that wait for a share.")
    throttled_until: Time | None = Field(default=None, description="Nothing is sent until then, as it asked.")
    throttled_since: Time | None = Field(default=None, description="Less than the limits is sent since then.")
    last_error: str | None = Field(default=None, description="What it answered when it pushed back or failed last.")
    last_error_time: Time | None = Field(default=None, description="When that was.")
