"""The four OpenAI-style APIs: a question as a request body, and an answer out of a response body. Pure.

https://platform.openai.com/docs/api-reference: chat, responses, completions, embeddings.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llmbatch_contract.spec import Api
from llmbatch_contract.usage import Usage

_MOST_TOKENS = 1e12

Json = dict[str, Any]
Conversation = list[Json]
"""Messages with role and content."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, in the same form from every API."""

    output: Any
    """Text; a list of numbers for embeddings; a list of tool calls where the model only called tools."""
    finish_reason: str | None
    refusal: str | None
    model: str | None
    usage: Usage


class UnexpectedShapeError(Exception):
    """The body is JSON, but not an answer of this API."""


def chat_body(messages: Conversation, schema: Json | None, *, strict: bool) -> Json:
    """The question as /chat/completions takes it, without model and parameters."""
    if schema is None:
        return {"messages": messages}
    wanted = {"name": "answer", "schema": schema, "strict": strict}
    return {"messages": messages, "response_format": {"type": "json_schema", "json_schema": wanted}}


def responses_body(messages: Conversation, schema: Json | None, *, strict: bool) -> Json:
    """The question as /responses takes it: a leading system message becomes the instructions."""
    body: Json = {"input": messages}
    if messages[0]["role"] == "system" and isinstance(messages[0]["content"], str) and len(messages) > 1:
        body = {"instructions": messages[0]["content"], "input": messages[1:]}
    if schema is not None:
        body["text"] = {"format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": strict}}
    return body


def read_answer(api: Api, body: Json) -> Answer:
    """The answer in a response body of status 200. Raises UnexpectedShapeError."""
    try:
        return _READERS[api](body)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise UnexpectedShapeError(f"the answer has not the shape of the {api.value} API") from error


def _chat(body: Json) -> Answer:
    choice = body["choices"][0]
    message = choice["message"]
    output = message.get("content") or message.get("tool_calls")
    reason = choice.get("finish_reason")
    return Answer(output, reason, message.get("refusal"), body.get("model"), _usage(body, "prompt", "completion"))


def _completions(body: Json) -> Answer:
    choice = body["choices"][0]
    usage = _usage(body, "prompt", "completion")
    return Answer(choice["text"], choice.get("finish_reason"), None, body.get("model"), usage)


def _embeddings(body: Json) -> Answer:
    return Answer(body["data"][0]["embedding"], None, None, body.get("model"), _usage(body, "prompt", "completion"))


def _responses(body: Json) -> Answer:
    parts = [p for o in body["output"] if o.get("type") == "message" for p in o["content"]]
    text = "".join(p["text"] for p in parts if p["type"] == "output_text")
    refusal = "".join(p["refusal"] for p in parts if p["type"] == "refusal")
    calls = [o for o in body["output"] if o.get("type") == "function_call"]
    usage = _usage(body, "input", "output")
    return Answer(text or calls, _responses_finish(body), refusal or None, body.get("model"), usage)


def _responses_finish(body: Json) -> str:
    if body.get("status") != "incomplete":
        return "stop"
    reason = (body.get("incomplete_details") or {}).get("reason")
    return "length" if reason == "max_output_tokens" else str(reason)


def _usage(body: Json, prompt: str, answer: str) -> Usage:
    usage = body.get("usage") or {}
    read = usage.get(f"{prompt}_tokens_details") or {}
    written = usage.get(f"{answer}_tokens_details") or {}
    return Usage(
        input=_count(usage, f"{prompt}_tokens"),
        output=_count(usage, f"{answer}_tokens"),
        cached=_count(read, "cached_tokens"),
        reasoning=_count(written, "reasoning_tokens"),
    )


def _count(counts: Json, name: str) -> int:
    """A number of tokens; what is not one counts as none."""
    value = counts.get(name)
    return int(value) if isinstance(value, int | float) and 0 <= value < _MOST_TOKENS else 0


_READERS: dict[Api, Callable[[Json], Answer]] = {
    Api.CHAT: _chat,
    Api.RESPONSES: _responses,
    Api.COMPLETIONS: _completions,
    Api.EMBEDDINGS: _embeddings,
}
