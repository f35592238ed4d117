"""What an exchange with the endpoint came to: an answer, or a failure with one category. Pure."""

from dataclasses import dataclass
from typing import Any

import orjson

from llmbatch_contract.categories import Category
from llmbatch_contract.spec import Api
from llmbatch_worker.apis import Answer, Json, UnexpectedShapeError, read_answer
from llmbatch_worker.schema import ResponseSchema

_MOST_CHARS = 500


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt."""

    category: Category
    message: str
    status: int | None = None
    code: str | None = None
    answer: Answer | None = None
    """What was answered (and paid for), where it was an answer after all."""
    body: Json | None = None


@dataclass(frozen=True, slots=True)
class Success:
    """One answered attempt."""

    output: Any
    answer: Answer
    body: Json


_BY_STATUS = {
    401: Category.AUTH,
    402: Category.QUOTA_EXHAUSTED,
    403: Category.PERMISSION,
    404: Category.MODEL_NOT_FOUND,
    408: Category.TIMEOUT,
    409: Category.SERVER_ERROR,
    425: Category.SERVER_ERROR,
    429: Category.RATE_LIMITED,
    502: Category.OVERLOADED,
    503: Category.OVERLOADED,
    504: Category.TIMEOUT,
    524: Category.TIMEOUT,
    529: Category.OVERLOADED,
}

_BY_CODE = {
    "insufficient_quota": Category.QUOTA_EXHAUSTED,
    "billing_hard_limit_reached": Category.QUOTA_EXHAUSTED,
    "billing_not_active": Category.QUOTA_EXHAUSTED,
    "invalid_api_key": Category.AUTH,
    "model_not_found": Category.MODEL_NOT_FOUND,
    "context_length_exceeded": Category.CONTEXT_LENGTH,
    "string_above_max_length": Category.CONTEXT_LENGTH,
    "content_policy_violation": Category.CONTENT_FILTER,
    "content_filter": Category.CONTENT_FILTER,
    "rate_limit_exceeded": Category.RATE_LIMITED,
}

# vLLM, llama.cpp and others tell of a long prompt in words only.
_CONTEXT_WORDS = ("context length", "context size", "maximum context", "context window", "too many tokens")


def classify(api: Api, status: int, body: bytes, schema: ResponseSchema | None) -> Success | Failure:
    """What a whole response came to."""
    parsed = _json_object(body)
    if status >= 300:
        return _refused(status, parsed, body)
    if parsed is None:
        return Failure(Category.SERVER_ERROR, _not_json(body), status)
    if isinstance(parsed.get("error"), dict):
        return _refused(status, parsed, body)
    try:
        answer = read_answer(api, parsed)
    except UnexpectedShapeError as error:
        return Failure(Category.SERVER_ERROR, str(error), status, body=parsed)
    return _judge(answer, status, parsed, schema)


def _judge(answer: Answer, status: int, body: Json, schema: ResponseSchema | None) -> Success | Failure:
    def failed(category: Category, message: str) -> Failure:
        return Failure(category, message, status, answer=answer, body=body)

    if answer.refusal:
        return failed(Category.REFUSAL, f"the model refused: {answer.refusal}"[:_MOST_CHARS])
    if answer.finish_reason == "content_filter":
        return failed(Category.CONTENT_FILTER, "the endpoint's content filter stopped the answer")
    if answer.finish_reason == "length":
        return failed(Category.TRUNCATED, f"cut off after {answer.usage.output} tokens; allow more output tokens")
    if not answer.output:
        return failed(Category.INVALID_OUTPUT, "the answer is empty")
    if schema is None:
        return Success(answer.output, answer, body)
    if not isinstance(answer.output, str):
        return failed(Category.INVALID_OUTPUT, "the answer is a tool call, not text that could match responseSchema")
    value, problem = schema.parse(answer.output)
    return Success(value, answer, body) if problem is None else failed(Category.INVALID_OUTPUT, problem)


def _refused(status: int, parsed: Json | None, body: bytes) -> Failure:
    error = (parsed or {}).get("error")
    if not isinstance(error, dict):
        error = {"message": error or (parsed or {}).get("message") or (parsed or {}).get("detail")}
    code = error.get("code") or error.get("type")
    message = str(error.get("message") or (f"HTTP {status}" if parsed is not None else _not_json(body)))[:_MOST_CHARS]
    category = _category(status, str(code), message)
    return Failure(category, message, status, str(code) if code is not None else None, body=parsed)


def _category(status: int, code: str, message: str) -> Category:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status in (400, 413, 422) and any(words in message.lower() for words in _CONTEXT_WORDS):
        return Category.CONTEXT_LENGTH
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return Category.INVALID_REQUEST if 400 <= status < 500 else Category.SERVER_ERROR


def _json_object(body: bytes) -> Json | None:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(parsed, list) and len(parsed) == 1:  # as Google's endpoints wrap their errors
        parsed = parsed[0]
    return parsed if isinstance(parsed, dict) else None


def _not_json(body: bytes) -> str:
    start = body[:200].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        return "the endpoint answered with a web page, not JSON; is spec.endpoint.url right, or a proxy in between?"
    return "the endpoint's answer is not whole JSON" if body else "the endpoint's answer is empty"
