"""The LLMBatch manifest as models: the one schema of the command line, the docs and the cluster's API.

Descriptions here become `docs/reference.md`. Rules that need more than one field are `model_validator`s whose
messages start with the field they are about, so that validation.py can point at it.
"""

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from llmbatch_contract.categories import STOPS_BY_DEFAULT, Category
from llmbatch_contract.model import SpecModel
from llmbatch_contract.usage import Pricing

API_VERSION = "llmbatch.dev/v1alpha1"
KIND = "LLMBatch"

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


class Api(StrEnum):
    """An OpenAI-style API, by the path below the endpoint's `url`."""

    CHAT = "chat"
    RESPONSES = "responses"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"

    @property
    def path(self) -> str:
        """The path below the base URL, as in `/chat/completions`."""
        return _PATHS[self]


_PATHS = {
    Api.CHAT: "/chat/completions",
    Api.RESPONSES: "/responses",
    Api.COMPLETIONS: "/completions",
    Api.EMBEDDINGS: "/embeddings",
}


class InputFormat(StrEnum):
    """How items are written in an input."""

    AUTO = "auto"
    JSONL = "jsonl"
    CSV = "csv"
    OPENAI = "openai"


class OutputFormat(StrEnum):
    """How results are written."""

    JSONL = "jsonl"
    CSV = "csv"
    OPENAI = "openai"


def _http_url(value: str) -> str:
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", value):
        raise ValueError("must start with http:// or https:// and name a host, as in https://api.openai.com/v1")
    if not _has_host_and_port(value):
        raise ValueError("has no valid host and port")
    if "@" in urlsplit(value).netloc:
        raise ValueError("must not hold a user or password: use apiKeySecret")
    return value.rstrip("/")


def _has_host_and_port(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.hostname is not None and parts.port != 0
    except ValueError:
        return False


def _dns_name(value: str) -> str:
    if len(value) > 63 or not _DNS_NAME.fullmatch(value):
        raise ValueError("must be at most 63 lower-case letters, digits and '-', as in my-batch")
    return value


def _concurrency(value: object) -> object:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 4096):
        return value
    raise ValueError("must be 'auto' or a whole number from 1 to 4096")


def _content(value: object) -> object:
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(v, dict) for v in value)):
        return value
    raise ValueError("must be text, or a list of content parts such as {type: text, text: ...}")


Url = Annotated[str, AfterValidator(_http_url)]
Content = Annotated[str | list[dict[str, Any]], BeforeValidator(_content)]
Concurrency = Annotated[int | Literal["auto"], BeforeValidator(_concurrency)]


class SecretKey(SpecModel):
    """One key of a Secret."""

    name: str = Field(min_length=1, description="Name of the Secret, in the namespace of the batch.")
    key: str = Field(default="api-key", min_length=1, description="Key in the Secret that holds the API key.")

    @property
    def env_name(self) -> str:
        """The environment variable of a local run: `openai` + `api-key` is OPENAI_API_KEY."""
        return re.sub(r"[^A-Z0-9]+", "_", f"{self.name}_{self.key}".upper())


class Limits(SpecModel):
    """Limits of an endpoint, shared by all workers of a batch."""

    requests_per_minute: float | None = Field(default=None, gt=0, description="Requests a minute.")
    tokens_per_minute: float | None = Field(
        default=None, gt=0, description="Tokens a minute, of prompts and answers together."
    )
    input_tokens_per_minute: float | None = Field(default=None, gt=0, description="Tokens of prompts a minute.")
    concurrency: int | None = Field(default=None, ge=1, description="Requests in flight at once, over all workers.")


class Endpoint(SpecModel):
    """Where and how to reach the model."""

    url: Url = Field(description="Base URL of an OpenAI-style API, with `/v1`.")
    api_key_secret: SecretKey | None = Field(
        default=None,
        description=(
            "The API key, sent as `Authorization: Bearer`. In a local run it comes from the environment variable "
            "made of name and key: `{name: openai, key: api-key}` reads `OPENAI_API_KEY`. Unset: no key is sent."
        ),
    )
    headers: dict[str, str] = Field(
        default_factory=dict,
        description="Headers sent with each request. Not for keys: the manifest is not a secret.",
    )
    limits: Limits = Field(default_factory=Limits, description="Limits to stay under. Unset: as fast as it answers.")
    pricing: Pricing | None = Field(default=None, description="Prices, for cost in progress and summary.")

    @model_validator(mode="after")
    def _headers_can_be_sent(self) -> Self:
        for name, value in self.headers.items():
            if name.lower() in ("authorization", "api-key", "x-api-key"):
                raise ValueError(f"headers: {name} holds a key, which belongs into a Secret: use apiKeySecret")
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"headers: {name!r} is no name of a header")
            if not (value.isascii() and value.isprintable()):
                raise ValueError(f"headers: {name} may hold only printable ASCII characters")
        return self


class Input(SpecModel):
    """Where the items are: exactly one of `items` and `uri`."""

    items: list[dict[str, Any]] | None = Field(default=None, description="The items themselves, for small batches.")
    uri: str | None = Field(
        default=None,
        min_length=1,
        description="A file, plain or gzip. In a local run a relative path is relative to the manifest.",
    )
    format: InputFormat = Field(
        strict=False,
        default=InputFormat.AUTO,
        description="`auto` looks at name and content. `openai` is the input file of the OpenAI Batch API.",
    )
    delimiter: str | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="The character between CSV fields. Unset: the one of `,` `;` tab and `|` that the header uses.",
    )
    id_field: str | None = Field(
        default=None,
        min_length=1,
        description="The field that identifies an item; its values must be unique. Unset: the item's number, from 0.",
    )

    @model_validator(mode="after")
    def _exactly_one_source(self) -> Self:
        if (self.items is None) == (self.uri is None):
            raise ValueError("must have exactly one of items and uri")
        if self.items is not None and self.format is InputFormat.CSV:
            raise ValueError("format: inline items are objects, csv does not apply; remove it")
        if self.format is InputFormat.OPENAI and self.id_field is not None:
            raise ValueError("idField: the id of an openai input is its custom_id; remove it")
        return self


class Message(SpecModel):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant"] = Field(description="Who says it.")
    content: Content = Field(description="Text, or a list of content parts; every text in it is a template.")


class Request(SpecModel):
    """What to ask about each item. Texts are Jinja templates over the item's fields."""

    api: Api = Field(strict=False, default=Api.CHAT, description="Which API to call.")
    system: str | None = Field(default=None, description="Template of the system message, beside `prompt`.")
    prompt: str | None = Field(
        default=None,
        description="Template of the user message, prompt or text to embed. Required, unless there are `messages`.",
    )
    messages: list[Message] | None = Field(
        default=None, min_length=1, description="The whole conversation, instead of `system` and `prompt`."
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="Passed through in the request, as in `{temperature: 0, max_tokens: 200}`.",
    )
    response_schema: dict[str, Any] | None = Field(
        default=None,
        description="JSON schema of the answer: sent as structured output, then checked; the output is the object.",
    )

    @model_validator(mode="after")
    def _fits_the_api(self) -> Self:
        if self.prompt is None and self.messages is None:
            raise ValueError("must have prompt or messages")
        if self.messages is not None and (self.prompt is not None or self.system is not None):
            raise ValueError("messages: has the whole conversation; remove it, or system and prompt")
        plain = self.api in (Api.COMPLETIONS, Api.EMBEDDINGS)
        if plain and (self.messages is not None or self.system is not None):
            raise ValueError(f"api: {self.api.value} takes a prompt only, no system and no messages")
        if plain and self.response_schema is not None:
            raise ValueError(f"responseSchema: needs api chat or responses, not {self.api.value}")
        taken = ["model", "messages", "prompt", "input", "stream"]
        taken += ["response_format", "text"] if self.response_schema is not None else []
        taken += ["instructions"] if self.system is not None else []
        for name in taken:
            if name in self.parameters:
                raise ValueError(f"parameters.{name}: is set by LLMBatch itself; remove it")
        return self


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


class Output(SpecModel):
    """Where and how results are written."""

    uri: str | None = Field(
        default=None,
        min_length=1,
        description="A folder for results, errors.jsonl and summary.json. Unset: `NAME-output` beside the manifest.",
    )
    format: OutputFormat = Field(
        strict=False,
        default=OutputFormat.JSONL,
        description="`csv`: the input's columns, `ai_output`, each property of the schema. `openai`: as its Batch API.",
    )
    include_input: bool = Field(default=False, description="Write each item into its result, as `input` (jsonl only).")

    @model_validator(mode="after")
    def _input_only_in_jsonl(self) -> Self:
        if self.include_input and self.format is not OutputFormat.JSONL:
            raise ValueError("includeInput: goes with format jsonl only (csv has the input's columns anyway)")
        return self


class LLMBatchSpec(SpecModel):
    """What a batch is."""

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
    output: Output = Field(default_factory=Output, description="Where and how results are written.")

    @model_validator(mode="after")
    def _request_is_complete(self) -> Self:
        if self.input.format is InputFormat.OPENAI:
            if self.request is not None:
                raise ValueError("request: an input of format openai holds whole requests; remove it")
        elif self.request is None and self.input.format is not InputFormat.AUTO:
            raise ValueError("request: is required, unless input.format is openai")
        elif self.request is not None and self.model is None:
            raise ValueError("model: is required, as in gpt-4.1-mini")
        return self


class Metadata(SpecModel):
    """The part of Kubernetes' ObjectMeta that a manifest writes; the rest is passed over."""

    name: Annotated[str, AfterValidator(_dns_name)] = Field(description="Name of the batch.")
    namespace: str = Field(default="default", description="Namespace of the batch.")
    labels: dict[str, str] = Field(default_factory=dict, description="Labels.")
    annotations: dict[str, str] = Field(default_factory=dict, description="Annotations.")


class LLMBatch(SpecModel):
    """One batch: items, a question about each, and where the answers go."""

    api_version: Literal["llmbatch.dev/v1alpha1"] = Field(description="`llmbatch.dev/v1alpha1`.")
    kind: Literal["LLMBatch"] = Field(description="`LLMBatch`.")
    metadata: Metadata = Field(description="Name, namespace, labels and annotations.")
    spec: LLMBatchSpec = Field(description="What the batch is.")
