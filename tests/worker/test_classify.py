"""Real answers of OpenAI, Azure, vLLM, llama.cpp, Ollama and proxies, and what they count as."""

# ruff: noqa: E501  # a row of a table is a line

import json
from typing import Any

import pytest

from llmbatch_contract.categories import Category
from llmbatch_contract.spec import Api
from llmbatch_worker.classify import Failure, Success, classify
from llmbatch_worker.schema import ResponseSchema

COLOUR = ResponseSchema({"type": "object", "required": ["colour"], "properties": {"colour": {"enum": ["red", "blue"]}}})


def _failed(status: int, body: Any, api: Api = Api.CHAT, schema: ResponseSchema | None = None) -> Failure:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    verdict = classify(api, status, data, schema)
    assert isinstance(verdict, Failure), verdict
    return verdict


def _openai(message: str, kind: str, code: Any) -> Any:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


_CONTEXT = "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens."
_ERRORS = [
    pytest.param(401, _openai("Incorrect API key", "invalid_request_error", "invalid_api_key"), "auth", id="OpenAI wrong key"),
    pytest.param(401, {"error": "Unauthorized"}, "auth", id="vLLM wrong key"),
    pytest.param(401, b"", "auth", id="401 without a body"),
    pytest.param(402, _openai("Insufficient Balance", "unknown_error", "invalid_request_error"), "quota_exhausted", id="DeepSeek without credit"),
    pytest.param(403, _openai("no access", "invalid_request_error", "unsupported_country_region_territory"), "permission", id="OpenAI wrong country"),
    pytest.param(403, b"<html><body>Forbidden</body></html>", "permission", id="403 of a proxy"),
    pytest.param(404, _openai("The model does not exist", "invalid_request_error", "model_not_found"), "model_not_found", id="OpenAI unknown model"),
    pytest.param(404, {"object": "error", "message": "The model `x` does not exist.", "type": "NotFoundError", "code": 404}, "model_not_found", id="vLLM unknown model"),
    pytest.param(404, {"error": "model 'x' not found"}, "model_not_found", id="Ollama unknown model"),
    pytest.param(404, {"detail": "Not Found"}, "model_not_found", id="FastAPI unknown path"),
    pytest.param(429, _openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), "quota_exhausted", id="OpenAI quota"),
    pytest.param(429, _openai("Rate limit reached", "requests", "rate_limit_exceeded"), "rate_limited", id="OpenAI rate limit"),
    pytest.param(429, _openai("Rate limit reached", "tokens", None), "rate_limited", id="429 whose code is null"),
    pytest.param(429, b"Too Many Requests", "rate_limited", id="429 in plain text"),
    pytest.param(400, _openai(_CONTEXT, "invalid_request_error", "context_length_exceeded"), "context_length", id="OpenAI long prompt"),
    pytest.param(400, {"object": "error", "message": _CONTEXT, "type": "BadRequestError", "param": None, "code": 400}, "context_length", id="old vLLM long prompt"),
    pytest.param(400, {"error": {"message": _CONTEXT, "type": "BadRequestError", "param": None, "code": 400}}, "context_length", id="new vLLM long prompt"),
    pytest.param(400, {"error": {"code": 400, "message": "the request exceeds the available context size. try increasing it", "type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 4096}}, "context_length", id="llama.cpp long prompt"),
    pytest.param(400, _openai("bad value", "invalid_request_error", "invalid_value"), "invalid_request", id="OpenAI bad request"),
    pytest.param(400, _openai("rejected by our safety system", "invalid_request_error", "content_policy_violation"), "content_filter", id="OpenAI policy"),
    pytest.param(400, {"error": {"message": "filtered", "type": None, "param": "prompt", "code": "content_filter", "status": 400}}, "content_filter", id="Azure filter"),
    pytest.param(422, {"detail": [{"loc": ["body", "messages"], "msg": "field required"}]}, "invalid_request", id="FastAPI validation"),
    pytest.param(413, b"<html>413 Request Entity Too Large</html>", "invalid_request", id="nginx too large"),
    pytest.param(408, b"", "timeout", id="408"),
    pytest.param(504, b"<html>504 Gateway Time-out</html>", "timeout", id="nginx time-out"),
    pytest.param(524, b"<!DOCTYPE html>", "timeout", id="Cloudflare time-out"),
    pytest.param(500, _openai("The server had an error", "server_error", None), "server_error", id="OpenAI server error"),
    pytest.param(500, {"error": {"code": 500, "message": "oops", "type": "server_error"}}, "server_error", id="llama.cpp server error"),
    pytest.param(502, b"<html>502 Bad Gateway</html>", "overloaded", id="nginx bad gateway"),
    pytest.param(503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, "overloaded", id="llama.cpp loads its model"),
    pytest.param(529, {"error": {"type": "overloaded_error", "message": "Overloaded"}}, "overloaded", id="529"),
    pytest.param(200, b"<!DOCTYPE html><html>Log in</html>", "server_error", id="a log-in page"),
    pytest.param(200, b'{"id": "chatcmpl-1", "choices": [{"ind', "server_error", id="half the JSON"),
    pytest.param(200, b"", "server_error", id="no body"),
    pytest.param(200, b"[]", "server_error", id="a list"),
    pytest.param(200, b"\xff\xfe", "server_error", id="no UTF-8"),
    pytest.param(200, {"id": "x"}, "server_error", id="no choices"),
    pytest.param(200, {"choices": []}, "server_error", id="empty choices"),
    pytest.param(200, {"choices": [{"message": None}]}, "server_error", id="a message that is null"),
    pytest.param(200, {"choices": "no"}, "server_error", id="choices that are a text"),
    pytest.param(200, _openai("Rate limit reached", "requests", "rate_limit_exceeded"), "rate_limited", id="an error with status 200"),
    pytest.param(302, b"", "server_error", id="a redirect"),
]  # fmt: skip


@pytest.mark.parametrize("api", Api)
@pytest.mark.parametrize(("status", "body", "category"), _ERRORS)
def test_an_error_has_its_category_whatever_the_api(api: Api, status: int, body: Any, category: str) -> None:
    failure = _failed(status, body, api)
    assert (failure.category, failure.status) == (category, status)
    assert failure.message
    assert failure.answer is None


def _chat(content: Any, reason: str = "stop", **message: Any) -> Any:
    return {"choices": [{"message": {"content": content, **message}, "finish_reason": reason}], "usage": {}}


def _responses(*parts: Any, **fields: Any) -> Any:
    return {"status": "completed", "error": None, "output": [{"type": "message", "content": list(parts)}], **fields}


def _text(text: str) -> Any:
    return {"type": "output_text", "text": text}


_SPOILT = [
    pytest.param(Api.CHAT, _chat(""), "invalid_output", id="chat, empty"),
    pytest.param(Api.CHAT, _chat(None), "invalid_output", id="chat, null"),
    pytest.param(Api.CHAT, _chat("Once upon", "length"), "truncated", id="chat, cut off"),
    pytest.param(Api.CHAT, _chat("", "length"), "truncated", id="chat, all tokens spent on reasoning"),
    pytest.param(Api.CHAT, _chat("Once", "content_filter"), "content_filter", id="chat, filtered"),
    pytest.param(Api.CHAT, _chat(None, refusal="I can't help"), "refusal", id="chat, refused"),
    pytest.param(Api.COMPLETIONS, {"choices": [{"text": "", "finish_reason": "stop"}]}, "invalid_output", id="completions, empty"),
    pytest.param(Api.COMPLETIONS, {"choices": [{"text": "On", "finish_reason": "length"}]}, "truncated", id="completions, cut off"),
    pytest.param(Api.COMPLETIONS, {"choices": [{"text": "On", "finish_reason": "content_filter"}]}, "content_filter", id="completions, filtered"),
    pytest.param(Api.EMBEDDINGS, {"data": [{"embedding": []}]}, "invalid_output", id="embeddings, empty"),
    pytest.param(Api.EMBEDDINGS, {"data": []}, "server_error", id="embeddings, no data"),
    pytest.param(Api.RESPONSES, _responses(), "invalid_output", id="responses, empty"),
    pytest.param(Api.RESPONSES, _responses({"type": "refusal", "refusal": "No."}), "refusal", id="responses, refused"),
    pytest.param(Api.RESPONSES, _responses(_text("On"), status="incomplete", incomplete_details={"reason": "max_output_tokens"}), "truncated", id="responses, cut off"),
    pytest.param(Api.RESPONSES, _responses(_text("On"), status="incomplete", incomplete_details={"reason": "content_filter"}), "content_filter", id="responses, filtered"),
    pytest.param(Api.RESPONSES, _responses(status="failed", error={"code": "server_error", "message": "sorry"}), "server_error", id="responses, failed"),
    pytest.param(Api.RESPONSES, _responses(status="failed", error={"code": "rate_limit_exceeded", "message": "slow"}), "rate_limited", id="responses, failed by a limit"),
]  # fmt: skip


@pytest.mark.parametrize(("api", "body", "category"), _SPOILT)
def test_an_answer_that_is_none_has_its_category(api: Api, body: Any, category: str) -> None:
    assert _failed(200, body, api).category == category


@pytest.mark.parametrize(
    ("api", "body", "output"),
    [
        pytest.param(Api.CHAT, _chat("Hi"), "Hi", id="chat"),
        pytest.param(Api.CHAT, _chat("Hi") | {"error": None}, "Hi", id="chat with an error that is null"),
        pytest.param(Api.CHAT, _chat(None, "tool_calls", tool_calls=[{"id": "c"}]), [{"id": "c"}], id="tool calls"),
        pytest.param(Api.COMPLETIONS, {"choices": [{"text": "Hi", "finish_reason": "stop"}]}, "Hi", id="completions"),
        pytest.param(Api.EMBEDDINGS, {"data": [{"embedding": [0.5]}]}, [0.5], id="embeddings"),
        pytest.param(Api.RESPONSES, _responses(_text("H"), _text("i")), "Hi", id="responses in two parts"),
    ],
)
def test_a_good_answer_is_a_success(api: Api, body: Any, output: Any) -> None:
    verdict = classify(api, 200, json.dumps(body).encode(), None)
    assert isinstance(verdict, Success)
    assert verdict.output == output


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param('{"colour": "red"}', {"colour": "red"}, id="JSON"),
        pytest.param('```json\n{"colour": "red"}\n```', {"colour": "red"}, id="JSON in a fence"),
        pytest.param('{"colour": "green"}', None, id="a wrong value"),
        pytest.param('{"color": "red"}', None, id="a missing field"),
        pytest.param("red", None, id="no JSON"),
        pytest.param('{"colour": "re', None, id="half the JSON"),
    ],
)
def test_an_answer_is_checked_against_the_schema(content: str, expected: Any) -> None:
    verdict = classify(Api.CHAT, 200, json.dumps(_chat(content)).encode(), COLOUR)
    if expected is None:
        assert isinstance(verdict, Failure)
        assert verdict.category is Category.INVALID_OUTPUT
        assert verdict.answer is not None
    else:
        assert isinstance(verdict, Success)
        assert verdict.output == expected


def test_a_refusal_is_a_refusal_whatever_the_schema() -> None:
    assert _failed(200, _chat(None, refusal="no"), schema=COLOUR).category is Category.REFUSAL


def test_a_message_is_cut_to_a_readable_length() -> None:
    assert len(_failed(500, {"error": {"message": "x" * 100_000}}).message) <= 500


def test_a_web_page_is_named_as_such() -> None:
    assert "web page" in _failed(200, b"<!doctype html><p>hello").message


def test_an_error_in_a_list_keeps_its_message() -> None:
    body = [{"error": {"code": 400, "message": "API key not valid", "status": "INVALID_ARGUMENT"}}]
    assert "API key not valid" in _failed(400, body).message
