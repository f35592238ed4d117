"""Prompts and answers as `gen_ai.input.messages` and `gen_ai.output.messages` want them: JSON, cut. Pure.

Only used with `telemetry.captureContent`. What is neither text nor a tool call is named by its type only.
"""

from typing import Any

import orjson

from llmbatch_contract.spec import Api

MOST_CHARS = 8192
_NAME_CHARS = 50
_TEXT_CHARS = (8000, 6000, 4000, 2000, 1000, 500, 200, 50)
_LONG = ("content", "arguments")

Json = dict[str, Any]


def input_messages(api: Api, body: bytes) -> str:
    """The messages of a request."""
    asked = orjson.loads(body)
    if api is Api.CHAT:
        return _cut(_conversation(asked.get("messages")))
    if api is Api.RESPONSES:
        return _cut(_responses_input(asked))
    return _cut([_message("user", asked.get("prompt" if api is Api.COMPLETIONS else "input"))])


def output_messages(output: Any, finish_reason: str | None) -> str:
    """An answer."""
    return _cut([{**_message("assistant", output), "finish_reason": str(finish_reason or "unknown")[:_NAME_CHARS]}])


def _responses_input(asked: Json) -> list[Json]:
    given = asked.get("input")
    instructions = [_message("system", asked["instructions"])] if asked.get("instructions") else []
    if not isinstance(given, list):
        return [*instructions, _message("user", given)]
    return instructions + _conversation(given)


def _conversation(messages: Any) -> list[Json]:
    """An input that has whole requests may have anything here."""
    given = messages if isinstance(messages, list) else []
    return [_message(m.get("role"), m.get("content")) for m in given if isinstance(m, dict)]


def _message(role: Any, content: Any) -> Json:
    parts = content if isinstance(content, list) and all(isinstance(p, dict) for p in content) else [content]
    return {"role": str(role or "user")[:_NAME_CHARS], "parts": [_part(part) for part in parts]}


def _part(part: Any) -> Json:
    if not isinstance(part, dict):
        return {"type": "text", "content": part if isinstance(part, str) else _json(part)}
    if isinstance(part.get("text"), str):
        return {"type": "text", "content": part["text"]}
    if isinstance(call := part.get("function", part), dict) and "arguments" in call:
        asked = {
            "type": "tool_call",
            "name": str(call.get("name", ""))[:_NAME_CHARS],
            "arguments": _json(call["arguments"]),
        }
        return asked | {"id": str(part.get("id") or part.get("call_id") or "")[:_NAME_CHARS]}
    if "type" in part and not {"content", "output"} & part.keys():
        return {"type": str(part["type"])[:_NAME_CHARS]}
    return {"type": "text", "content": _json(part)}


def _cut(messages: list[Json]) -> str:
    """As JSON of at most MOST_CHARS: shorter texts first, then fewer messages."""
    for chars in _TEXT_CHARS:
        text = _json([_short(m, chars) for m in messages])
        if len(text) <= MOST_CHARS:
            return text
    return _cut(messages[len(messages) // 2 :]) if len(messages) > 1 else _cut([_first_parts(messages[0])])


def _short(message: Json, chars: int) -> Json:
    parts = [{k: v[:chars] if k in _LONG else v for k, v in part.items()} for part in message["parts"]]
    return message | {"parts": parts}


def _first_parts(message: Json) -> Json:
    return message | {"parts": message["parts"][: max(1, len(message["parts"]) // 2)]}


def _json(value: Any) -> str:
    return orjson.dumps(value).decode() if not isinstance(value, str) else value
