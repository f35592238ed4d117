"""What a request asks for: the body of any of the four APIs, validated once and made alike.

The server calls `parse_request`; past it nobody looks into a body again. A bad request raises ApiError
with OpenAI's status, type and code. Knows nothing of settings but the names of the models.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from llmbatch_cli.simulator.content import Content, read_messages, read_prompts, read_response_input
from llmbatch_cli.simulator.draws import content_key
from llmbatch_cli.simulator.errors import ApiError, invalid, missing, wrong_type

_MAX_DIMENSIONS = 16_384
_MAX_CHOICES = 128


class Api(StrEnum):
    CHAT = "chat"
    RESPONSES = "responses"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"


@dataclass(frozen=True, slots=True)
class Asked:
    api: Api
    model: str
    key: bytes
    content: Content
    max_tokens: int | None = None
    choices: int = 1
    wants_json: bool = False
    schema: Mapping[str, Any] | None = None
    dimensions: int = 8
    as_base64: bool = False

    @property
    def answer_count(self) -> int:
        prompts = self.content.count if self.api is Api.COMPLETIONS else 1
        return self.choices * prompts


def parse_request(api: Api, raw: bytes, models: tuple[str, ...]) -> Asked:
    body = _parse_json(raw)
    model = _model(body, models)
    if body.get("stream"):
        raise invalid("This endpoint is simulated and does not stream: leave out 'stream'.", "stream")
    return _READERS[api](model, body)


def _parse_json(raw: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise invalid(f"We could not parse the JSON body of your request: {error}") from None
    if not isinstance(body, dict):
        raise invalid("The body of your request has to be a JSON object.")
    return body


def _model(body: Mapping[str, Any], models: tuple[str, ...]) -> str:
    model = body.get("model")
    if model is None:
        raise invalid("you must provide a model parameter", "model", "missing_required_parameter")
    if not isinstance(model, str) or not model:
        raise wrong_type("model", "a string")
    if models and model not in models:
        message = f"The model `{model}` does not exist or you do not have access to it."
        raise ApiError(404, message, param="model", code="model_not_found")
    return model


def _chat(model: str, body: Mapping[str, Any]) -> Asked:
    content = read_messages("messages", _required(body, "messages"))
    limit = "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"
    schema, wants_json = _format("response_format", body.get("response_format"), nested="json_schema")
    return Asked(
        Api.CHAT,
        model,
        content_key(body),
        content,
        max_tokens=_whole(body, limit),
        choices=_whole(body, "n", _MAX_CHOICES) or 1,
        wants_json=wants_json,
        schema=schema,
    )


def _responses(model: str, body: Mapping[str, Any]) -> Asked:
    content = read_response_input(_required(body, "input"), body.get("instructions"))
    text = body.get("text") or {}
    if not isinstance(text, dict):
        raise wrong_type("text", "an object")
    schema, wants_json = _format("text.format", text.get("format"), nested=None)
    return Asked(
        Api.RESPONSES,
        model,
        content_key(body),
        content,
        max_tokens=_whole(body, "max_output_tokens"),
        wants_json=wants_json,
        schema=schema,
    )


def _completions(model: str, body: Mapping[str, Any]) -> Asked:
    content = read_prompts("prompt", _required(body, "prompt"))
    max_tokens = _whole(body, "max_tokens")
    choices = _whole(body, "n", _MAX_CHOICES) or 1
    return Asked(Api.COMPLETIONS, model, content_key(body), content, max_tokens=max_tokens, choices=choices)


def _embeddings(model: str, body: Mapping[str, Any]) -> Asked:
    content = read_prompts("input", _required(body, "input"))
    form = body.get("encoding_format") or "float"
    if form not in ("float", "base64"):
        raise invalid(f"Invalid value: {form!r}. Supported: 'float', 'base64'.", "encoding_format", "invalid_value")
    dimensions = _whole(body, "dimensions", _MAX_DIMENSIONS) or 8
    return Asked(Api.EMBEDDINGS, model, content_key(body), content, dimensions=dimensions, as_base64=form == "base64")


_READERS = {
    Api.CHAT: _chat,
    Api.RESPONSES: _responses,
    Api.COMPLETIONS: _completions,
    Api.EMBEDDINGS: _embeddings,
}


def _required(body: Mapping[str, Any], name: str) -> Any:
    value = body.get(name)
    if value is None:
        raise missing(name)
    return value


def _whole(body: Mapping[str, Any], name: str, most: int | None = None) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(name, "an integer")
    if value < 1:
        message = f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {value}."
        raise invalid(message, name, "integer_below_min_value")
    if most is not None and value > most:
        message = f"Invalid '{name}': integer above maximum value. Expected a value <= {most}, but got {value}."
        raise invalid(message, name, "integer_above_max_value")
    return value


def _format(param: str, value: Any, nested: str | None) -> tuple[Mapping[str, Any] | None, bool]:
    """The schema that is asked for, if any, and whether JSON is asked for at all."""
    if value is None:
        return None, False
    if not isinstance(value, dict):
        raise wrong_type(param, "an object")
    kind = value.get("type")
    if kind in ("text", "json_object"):
        return None, kind == "json_object"
    if kind != "json_schema":
        supported = "'json_object', 'json_schema', and 'text'"
        message = f"Invalid value: {kind!r}. Supported values are: {supported}."
        raise invalid(message, f"{param}.type", "invalid_value")
    if nested is None:
        return _named_schema(param, value), True
    return _named_schema(f"{param}.{nested}", _required_in(value, nested, param)), True


def _named_schema(param: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise wrong_type(param, "an object")
    _required_in(value, "name", param)
    schema = _required_in(value, "schema", param)
    if not isinstance(schema, dict):
        raise wrong_type(f"{param}.schema", "an object")
    return schema


def _required_in(value: Mapping[str, Any], name: str, param: str) -> Any:
    if not value.get(name) and value.get(name) != {}:
        raise missing(f"{param}.{name}")
    return value[name]
