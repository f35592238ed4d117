"""The bodies of the four APIs, field by field as OpenAI sends them.

The server calls `body_of` with the answers; ids and the time are arguments.
"""

import base64
import math
import struct
from array import array
from collections.abc import Sequence
from hashlib import shake_128
from typing import Any

from llmbatch_cli.simulator.answers import Answer
from llmbatch_cli.simulator.asked import Api, Asked


def body_of(asked: Asked, answers: Sequence[Answer], serial: int, created: int, seed: int) -> dict[str, Any]:
    """`serial` tells apart the answers to the same content."""
    unique = f"{asked.key.hex()}{serial:08x}"
    match asked.api:
        case Api.CHAT:
            return _chat(asked, answers, unique, created)
        case Api.RESPONSES:
            return _response(asked, answers[0], unique, created)
        case Api.COMPLETIONS:
            return _completion(asked, answers, unique, created)
        case Api.EMBEDDINGS:
            return _embeddings(asked, seed)


def _chat(asked: Asked, answers: Sequence[Answer], unique: str, created: int) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{unique}",
        "object": "chat.completion",
        "created": created,
        "model": asked.model,
        "choices": [_chat_choice(index, answer) for index, answer in enumerate(answers)],
        "usage": _usage(asked, answers),
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    }


def _chat_choice(index: int, answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": answer.text,
        "refusal": answer.refusal,
        "annotations": [],
    }
    return {"index": index, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}


def _completion(asked: Asked, answers: Sequence[Answer], unique: str, created: int) -> dict[str, Any]:
    return {
        "id": f"cmpl-{unique}",
        "object": "text_completion",
        "created": created,
        "model": asked.model,
        "choices": [
            {
                "text": answer.text or answer.refusal or "",
                "index": index,
                "logprobs": None,
                "finish_reason": answer.finish_reason,
            }
            for index, answer in enumerate(answers)
        ],
        "usage": _usage(asked, answers),
        "system_fingerprint": "fp_simulated",
    }


def _usage(asked: Asked, answers: Sequence[Answer]) -> dict[str, Any]:
    input_tokens = asked.content.tokens
    output_tokens = sum(answer.tokens for answer in answers)
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def _response(asked: Asked, answer: Answer, unique: str, created: int) -> dict[str, Any]:
    reason = _INCOMPLETE.get(answer.finish_reason)
    input_tokens = asked.content.tokens
    return {
        "id": f"resp_{unique}",
        "object": "response",
        "created_at": created,
        "status": "incomplete" if reason else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "max_output_tokens": asked.max_tokens,
        "metadata": {},
        "model": asked.model,
        "output": _output(answer, unique),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": input_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": answer.tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": input_tokens + answer.tokens,
        },
    }


def _output(answer: Answer, unique: str) -> list[dict[str, Any]]:
    if answer.text is None and answer.refusal is None:
        return []
    part: dict[str, Any] = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
    if answer.refusal is not None:
        part = {"type": "refusal", "refusal": answer.refusal}
    status = "incomplete" if answer.finish_reason in _INCOMPLETE else "completed"
    return [{"type": "message", "id": f"msg_{unique}", "status": status, "role": "assistant", "content": [part]}]


def _embeddings(asked: Asked, seed: int) -> dict[str, Any]:
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _vector(asked, seed, text)}
            for index, text in enumerate(asked.content.texts)
        ],
        "model": asked.model,
        "usage": {"prompt_tokens": asked.content.tokens, "total_tokens": asked.content.tokens},
    }


def _vector(asked: Asked, seed: int, text: str) -> list[float] | str:
    values = embed(text, asked.dimensions, seed)
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode() if asked.as_base64 else values


def embed(text: str, dimensions: int, seed: int = 0) -> list[float]:
    """A vector of length 1 that depends on the text and the seed alone."""
    digest = shake_128(b"%d/%b" % (seed, text.encode("utf-8", "surrogatepass"))).digest(dimensions * 2)
    raw = array("h")
    raw.frombytes(digest)
    # A vector of zeros has no direction; the hash of some text could be one when dimensions is 1.
    size = math.sqrt(sum(value * value for value in raw)) or 1.0
    return [round(value / size, 8) for value in raw]
