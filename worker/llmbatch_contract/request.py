"""The part of the manifest about the request: which API, which words, which answer."""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from llmbatch_contract.cel import JsonSchema, rule, rules
from llmbatch_contract.model import SpecModel

_NOTHING_ASKED = "must have prompt or messages"
_ASKED_TWICE = "messages: has the whole conversation; remove it, or system and prompt"
_PROMPT_ONLY = "api: {self.api} takes a prompt only, no system and no messages"
_NO_SCHEMA = "responseSchema: needs api chat or responses, not {self.api}"
_TAKEN = "is set by LLMBatch itself; remove it"

_ALWAYS_TAKEN = ("model", "messages", "prompt", "input", "stream")
_TAKEN_BY_SCHEMA = ("response_format", "text")
_TAKEN_BY_SYSTEM = ("instructions",)


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


def _content(value: object) -> object:
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(v, dict) for v in value)):
        return value
    raise ValueError("must be text, or a list of content parts such as {type: text, text: ...}")


Content = Annotated[
    str | list[dict[str, Any]],
    BeforeValidator(_content),
    WithJsonSchema({"x-kubernetes-preserve-unknown-fields": True}),
]


class Message(SpecModel):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant"] = Field(description="Who says it.")
    content: Content = Field(description="Text, or a list of content parts; every text in it is a template.")


def _taken_rule(name: str, *when: str) -> JsonSchema:
    """A rule against a parameter of a name that LLMBatch needs itself."""
    given = (*when, "has(dyn(self).parameters)", f"'{name}' in dyn(self).parameters")
    return rule(f"parameters.{name}: {_TAKEN}", f"!({' && '.join(given)})")


class Request(SpecModel):
    """What to ask about each item. Texts are Jinja templates over the item's fields."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(_NOTHING_ASKED, "has(self.prompt) || has(self.messages)"),
            rule(_ASKED_TWICE, "!has(self.messages) || !(has(self.prompt) || has(self.system))"),
            rule(
                _PROMPT_ONLY,
                "!(self.api in ['completions', 'embeddings']) || !(has(self.messages) || has(self.system))",
            ),
            rule(_NO_SCHEMA, "!(self.api in ['completions', 'embeddings']) || !has(dyn(self).responseSchema)"),
            *(_taken_rule(name) for name in _ALWAYS_TAKEN),
            *(_taken_rule(name, "has(dyn(self).responseSchema)") for name in _TAKEN_BY_SCHEMA),
            *(_taken_rule(name, "has(self.system)") for name in _TAKEN_BY_SYSTEM),
        )
    )

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
            raise ValueError(_NOTHING_ASKED)
        if self.messages is not None and (self.prompt is not None or self.system is not None):
            raise ValueError(_ASKED_TWICE)
        plain = self.api in (Api.COMPLETIONS, Api.EMBEDDINGS)
        if plain and (self.messages is not None or self.system is not None):
            raise ValueError(_PROMPT_ONLY.format(self=self))
        if plain and self.response_schema is not None:
            raise ValueError(_NO_SCHEMA.format(self=self))
        for name in self._taken_names():
            if name in self.parameters:
                raise ValueError(f"parameters.{name}: {_TAKEN}")
        return self

    def _taken_names(self) -> tuple[str, ...]:
        """Names of parameters that LLMBatch sets itself."""
        by_schema = _TAKEN_BY_SCHEMA if self.response_schema is not None else ()
        by_system = _TAKEN_BY_SYSTEM if self.system is not None else ()
        return (*_ALWAYS_TAKEN, *by_schema, *by_system)
