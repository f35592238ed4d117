"""The part of the manifest about the endpoint: where it is, its key, its limits."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from llmbatch_contract.cel import JsonSchema, immutable, rule, rules
from llmbatch_contract.model import SpecModel
from llmbatch_contract.usage import Pricing

_URL = r"https?://[^/\s]+(/\S*)?"
_NO_URL = "must start with http:// or https:// and name a host, as in https://api.openai.com/v1"
_NO_HOST = "has no valid host and port"
_NO_PASSWORD = "must not hold a user or password: {instead}"

_HEADER_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_KEY_HEADERS = ("authorization", "api-key", "x-api-key")
_KEY_IN_HEADER = "headers: {name} holds a key, which belongs into a Secret: use apiKeySecret"
_NO_HEADER_NAME = "headers: '{name}' is no name of a header"
_NO_HEADER_VALUE = "headers: {name} may hold only printable ASCII characters"

_ENDPOINT_NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
NO_ENDPOINT_NAME = "must be the name of an LLMEndpoint: at most 63 lower-case letters, digits and '-'"
_ONE_FORM = "needs either url, or ref with the name of an LLMEndpoint"
_REF_ALONE = "ref: stands alone: URL, key, headers, limits and pricing are those of the LLMEndpoint"
_BESIDE_REF = " || ".join(f"has(self.{name})" for name in ("apiKeySecret", "headers", "provider", "limits", "pricing"))


def _endpoint_name(value: str) -> str:
    if len(value) > 63 or not re.fullmatch(_ENDPOINT_NAME, value):
        raise ValueError(NO_ENDPOINT_NAME)
    return value


EndpointName = Annotated[
    str,
    Field(
        max_length=63,
        json_schema_extra=rules(rule(NO_ENDPOINT_NAME, f"self.matches(r'^{_ENDPOINT_NAME}$')")),
    ),
    AfterValidator(_endpoint_name),
]


def _any_url(value: str) -> str:
    if not re.fullmatch(_URL, value):
        raise ValueError(_NO_URL)
    if not _has_host_and_port(value):
        raise ValueError(_NO_HOST)
    return value


def _base_url(value: str) -> str:
    return _any_url(value).rstrip("/")


def _without_password(instead: str) -> AfterValidator:
    def check(value: str) -> str:
        if "@" in urlsplit(value).netloc:
            raise ValueError(_NO_PASSWORD.format(instead=instead))
        return value

    return AfterValidator(check)


def _has_host_and_port(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.hostname is not None and parts.port != 0
    except ValueError:
        return False


def _url_rules(instead: str) -> JsonSchema:
    return rules(
        rule(_NO_URL, rf"self.matches(r'^{_URL}$')"),
        rule(_NO_HOST, rf"!self.matches(r'^{_URL}$') || (isURL(self) && url(self).getPort() != '0')"),
        rule(_NO_PASSWORD.format(instead=instead), "!self.matches('^https?://[^/?#]*@')"),
    )


def _length(instead: str) -> Any:
    return Field(max_length=2048, json_schema_extra=_url_rules(instead))


_USE_API_KEY, _USE_CREDENTIALS = "use apiKeySecret", "use credentialsSecret"
_IS_SIGNED = "requests are signed, so check their signature"

Url = Annotated[str, _length(_USE_API_KEY), AfterValidator(_base_url), _without_password(_USE_API_KEY)]
StoreUrl = Annotated[str, _length(_USE_CREDENTIALS), AfterValidator(_base_url), _without_password(_USE_CREDENTIALS)]
WholeUrl = Annotated[str, _length(_IS_SIGNED), AfterValidator(_any_url), _without_password(_IS_SIGNED)]
"""One that nothing is added to, so that a slash at its end counts."""


class SecretKey(SpecModel):
    """One key of a Secret."""

    name: str = Field(min_length=1, description="Name of the Secret, in the namespace of the batch.")
    key: str = Field(default="api-key", min_length=1, description="Key in the Secret that holds the API key.")

    @property
    def env_name(self) -> str:
        """The environment variable of a local run: `openai` + `api-key` is OPENAI_API_KEY."""
        return re.sub(r"[^A-Z0-9]+", "_", f"{self.name}_{self.key}".upper())


class Limits(SpecModel):
    """Limits of an endpoint, shared by all workers that use it."""

    requests_per_minute: float | None = Field(default=None, gt=0, description="Requests a minute.")
    tokens_per_minute: float | None = Field(
        default=None, gt=0, description="Tokens a minute, of prompts and answers together."
    )
    input_tokens_per_minute: float | None = Field(default=None, gt=0, description="Tokens of prompts a minute.")
    concurrency: int | None = Field(default=None, ge=1, description="Requests in flight at once, over all workers.")


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises ValueError for headers that cannot be sent, and for keys in them."""
    for name, value in headers.items():
        if name.lower() in _KEY_HEADERS:
            raise ValueError(_KEY_IN_HEADER.format(name=name))
        if not re.fullmatch(_HEADER_NAME, name):
            raise ValueError(_NO_HEADER_NAME.format(name=name))
        if not (value.isascii() and value.isprintable()):
            raise ValueError(_NO_HEADER_VALUE.format(name=name))


def _header_rule(sentence: str, wrong: str) -> JsonSchema:
    """A rule of each header; `wrong` is an expression of `name`."""
    first = f"self.headers.filter(name, {wrong})[0]"
    return rule(sentence, f"!has(self.headers) || !self.headers.exists(name, {wrong})", name=first)


HEADER_RULES = (
    _header_rule(_KEY_IN_HEADER, f"name.lowerAscii() in {list(_KEY_HEADERS)}"),
    _header_rule(_NO_HEADER_NAME, f'!name.matches(r"^{_HEADER_NAME}$")'),
    _header_rule(_NO_HEADER_VALUE, "!self.headers[name].matches('^[ -~]*$')"),
)
"""What `check_headers` checks, in CEL."""

Provider = Annotated[str, Field(min_length=1, max_length=63)]
PROVIDER_MEANING = "Who serves it, as traces name it (`gen_ai.provider.name`). Unset: told from the URL."

Headers = Annotated[dict[str, Annotated[str, Field(max_length=8192)]], Field(max_length=64)]


class Endpoint(SpecModel):
    """Where and how to reach the model: in place, or by the name of an LLMEndpoint."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(_ONE_FORM, "has(self.ref) != has(self.url)"),
            rule(_REF_ALONE, f"!has(self.ref) || !({_BESIDE_REF})"),
            immutable("ref"),
            immutable("apiKeySecret"),
            *HEADER_RULES,
        )
    )

    ref: EndpointName | None = Field(
        default=None,
        description="Name of an LLMEndpoint, whose URL, key, headers, limits and prices hold then.",
    )
    url: Url | None = Field(default=None, description="Base URL of an OpenAI-style API, with `/v1`.")
    api_key_secret: SecretKey | None = Field(
        default=None,
        description=(
            "The API key, sent as `Authorization: Bearer`. In a local run it comes from the environment variable "
            "made of name and key: `{name: openai, key: api-key}` reads `OPENAI_API_KEY`. Unset: no key is sent."
        ),
    )
    headers: Headers = Field(
        default_factory=dict,
        description="Headers sent with each request. Not for keys: the manifest is not a secret.",
    )
    provider: Provider | None = Field(default=None, description=PROVIDER_MEANING)
    limits: Limits = Field(default_factory=Limits, description="Limits to stay under. Unset: as fast as it answers.")
    pricing: Pricing | None = Field(default=None, description="Prices, for cost in progress and summary.")

    @property
    def base_url(self) -> str:
        """The URL, of an endpoint that is no reference, as workers are given it.

        The operator, or `llmbatch run`, puts the LLMEndpoint's in place of a reference.
        """
        assert self.url is not None, f"the LLMEndpoint {self.ref} was not looked up"
        return self.url

    @model_validator(mode="after")
    def _has_one_form(self) -> Self:
        if (self.ref is None) == (self.url is None):
            raise ValueError(_ONE_FORM)
        beside = (self.api_key_secret, self.headers, self.provider, self.limits.model_fields_set, self.pricing)
        if self.ref is not None and any(beside):
            raise ValueError(_REF_ALONE)
        return self

    @model_validator(mode="after")
    def _headers_can_be_sent(self) -> Self:
        check_headers(self.headers)
        return self
