"""From an item to the request that asks about it. Used by the planner (to check and estimate) and by shards."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from llmbatch_contract.errors import InvalidError
from llmbatch_contract.records import Item
from llmbatch_contract.spec import Api, InputFormat, LLMBatchSpec, Message, Request
from llmbatch_worker.apis import Json, chat_body, responses_body
from llmbatch_worker.inputs.openai_batch import api_of
from llmbatch_worker.schema import ResponseSchema
from llmbatch_worker.templates import RenderError, Templates

_CHARS_PER_TOKEN = 4
_OUTPUT_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


@dataclass(frozen=True, slots=True)
class Question:
    """One request, ready to send."""

    api: Api
    body: bytes
    """JSON."""
    input_tokens: int
    """Estimate: characters of the body / 4."""
    max_output_tokens: int | None
    """What the request itself allows; None: it does not say."""


class Asker:
    """Builds the request for an item. Raises InvalidError when made from templates or a schema that are wrong."""

    def __init__(self, spec: LLMBatchSpec, input_format: InputFormat) -> None:
        self.templates = Templates()
        self.schema: ResponseSchema | None = None
        self._fixed: Json = {"model": spec.model} if spec.model else {}
        self._ask: Callable[[Item], Question] = self._passed_on
        if input_format is InputFormat.OPENAI:
            return
        if spec.request is None:
            raise InvalidError("spec.request: is required, unless the input's lines are requests (format openai)")
        self._fixed |= spec.request.parameters
        self._ask = self._compile(spec.request)

    def ask(self, item: Item) -> Question:
        """The request for an item. Raises RenderError when its fields do not fit the templates."""
        return self._ask(item)

    def _passed_on(self, item: Item) -> Question:
        return _question(api_of(item), item["body"] | self._fixed)

    def _compile(self, request: Request) -> Callable[[Item], Question]:
        if request.response_schema is not None:
            self.schema = ResponseSchema(request.response_schema)
        if request.api in (Api.CHAT, Api.RESPONSES):
            return self._compile_conversation(request)
        field = "prompt" if request.api is Api.COMPLETIONS else "input"
        prompt = self.templates.add("spec.request.prompt", request.prompt or "")
        return lambda item: _question(request.api, {**self._fixed, field: self.templates.render(prompt, item)})

    def _compile_conversation(self, request: Request) -> Callable[[Item], Question]:
        messages = [(m.role, self._compile_content(m.content, path)) for m, path in _messages(request)]
        to_body = chat_body if request.api is Api.CHAT else responses_body
        schema, strict = request.response_schema, self.schema is not None and self.schema.is_strict

        def ask(item: Item) -> Question:
            conversation = [{"role": role, "content": content(item)} for role, content in messages]
            return _question(request.api, self._fixed | to_body(conversation, schema, strict=strict))

        return ask

    def _compile_content(self, content: Any, path: str) -> Callable[[Item], Any]:
        """A function from an item to the content with every text in it rendered."""
        if isinstance(content, str):
            name = self.templates.add(path, content)
            return lambda item: self.templates.render(name, item)
        if isinstance(content, dict):
            fields = {k: self._compile_content(v, f"{path}.{k}") for k, v in content.items()}
            return lambda item: {k: render(item) for k, render in fields.items()}
        if isinstance(content, list):
            parts = [self._compile_content(v, f"{path}[{i}]") for i, v in enumerate(content)]
            return lambda item: [render(item) for render in parts]
        return lambda _item: content


def _messages(request: Request) -> list[tuple[Message, str]]:
    if request.messages is not None:
        return [(m, f"spec.request.messages[{i}].content") for i, m in enumerate(request.messages)]
    found = [(Message(role="user", content=request.prompt or ""), "spec.request.prompt")]
    if request.system is not None:
        found.insert(0, (Message(role="system", content=request.system), "spec.request.system"))
    return found


def _question(api: Api, body: Json) -> Question:
    try:
        data = orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        raise RenderError(f"the request cannot be written as JSON: {error}") from error
    limit = next((body[name] for name in _OUTPUT_LIMITS if isinstance(body.get(name), int)), None)
    return Question(api, data, math.ceil(len(data) / _CHARS_PER_TOKEN), limit)
