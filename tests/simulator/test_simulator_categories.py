"""Each way to go wrong, over real HTTP."""

import asyncio
import socket
import struct
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest

from llmbatch_cli.simulator import Category
from simulator.asking import PATHS, Client, running, until

_ERRORS = [
    (Category.SERVER_ERROR, 500, "server_error", None),
    (Category.UNAVAILABLE, 503, "service_unavailable", None),
    (Category.OVERLOADED, 529, "overloaded_error", "overloaded"),
    (Category.RATE_LIMIT, 429, "requests", "rate_limit_exceeded"),
    (Category.BAD_REQUEST, 400, "invalid_request_error", "invalid_value"),
    (Category.CONTEXT_LENGTH, 400, "invalid_request_error", "context_length_exceeded"),
    (Category.CONTENT_POLICY, 400, "invalid_request_error", "content_policy_violation"),
    (Category.AUTH, 401, "invalid_request_error", "invalid_api_key"),
    (Category.PERMISSION, 403, "permission_error", "permission_denied"),
    (Category.QUOTA, 429, "insufficient_quota", "insufficient_quota"),
    (Category.NOT_FOUND, 404, "invalid_request_error", "model_not_found"),
]
_ON_THE_WIRE = {Category.HANG, Category.RESET, Category.CLOSE, Category.HTML, Category.TRUNCATED_JSON}
_TEXTS = {Category.EMPTY, Category.LENGTH, Category.FILTER, Category.REFUSAL, Category.WRONG_SCHEMA}


def test_the_tests_below_cover_every_category() -> None:
    errors = {category for category, *_ in _ERRORS}
    assert errors | _ON_THE_WIRE | _TEXTS | {Category.SLOW} == set(Category)


@pytest.mark.parametrize("api", PATHS)
@pytest.mark.parametrize(("category", "status", "kind", "code"), _ERRORS)
async def test_an_error_has_the_status_and_shape_of_openai(
    api: str, category: Category, status: int, kind: str, code: str | None
) -> None:
    async with running(fail={category: 1.0}) as client:
        failed, retried = await client.post(api), await client.post(api)
    assert failed.status == status
    assert set(failed.body["error"]) == {"message", "type", "param", "code"}
    assert (failed.body["error"]["type"], failed.code) == (kind, code)
    assert retried.status == 200
    assert client.sim.stats.by_category == {category: 1}
    assert client.sim.stats.by_status == {str(status): 1, "200": 1}


@pytest.mark.parametrize("category", [Category.UNAVAILABLE, Category.RATE_LIMIT])
@pytest.mark.parametrize(("form", "present"), [("seconds", True), ("date", True), ("none", False)])
async def test_what_passes_soon_says_when_to_retry(category: Category, form: str, present: bool) -> None:
    async with running(fail={category: 1.0}, retry_after_format=form) as client:
        headers = (await client.chat()).headers
    assert ("retry-after" in headers) is present
    assert headers.get("retry-after") == "1" or form != "seconds"


async def test_a_hang_never_answers_and_ends_with_the_client() -> None:
    async with running(fail={"hang": 1.0}) as client:
        asking = asyncio.create_task(client.chat())
        await until(lambda: client.sim.stats.in_flight == 1)
        assert not asking.done()
        asking.cancel()
        await until(lambda: client.sim.stats.in_flight == 0)
        assert client.sim.stats.aborted == 1
        assert client.sim.stats.by_status == {}


@pytest.mark.parametrize("category", ["hang", "slow"])
async def test_a_server_with_requests_in_flight_stops_within_a_second(category: str) -> None:
    async with running(fail={category: 1.0}, latency="1h") as client:
        asking = [asyncio.create_task(client.chat(str(index))) for index in range(3)]
        await until(lambda: client.sim.stats.in_flight == 3)
        stats = client.sim.stats
        async with asyncio.timeout(1):
            await client.sim.__aexit__(None, None, None)
        ends = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(end, aiohttp.ClientError) for end in ends)
    assert (stats.in_flight, stats.aborted) == (0, 0)


async def test_a_reset_closes_the_connection_with_rst() -> None:
    async with running(fail={"reset": 1.0}) as client:
        with pytest.raises(ConnectionResetError):
            await asyncio.to_thread(_post_by_socket, client.sim.url)
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.chat("another")
        assert client.sim.stats.by_category == {"reset": 2}
        assert (await client.chat("another")).status == 200


def _post_by_socket(url: str) -> bytes:
    where = urlsplit(url)
    assert where.hostname is not None
    body = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello"}]})
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
        head = f"POST {where.path}/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        return connection.recv(65536)


async def test_a_close_comes_in_the_middle_of_the_body() -> None:
    async with running(fail={"close": 1.0}) as client:
        with pytest.raises(aiohttp.ClientPayloadError):
            await client.chat()
        assert client.sim.stats.by_status == {"200": 1}
        assert client.sim.stats.answered_ok == 0


async def test_html_is_a_page_with_status_200() -> None:
    async with running(fail={"html": 1.0}) as client:
        reply = await client.chat()
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/html")
    assert b"<html>" in reply.raw


async def test_truncated_json_is_half_of_a_document_whole_to_http() -> None:
    async with running(fail={"truncated_json": 1.0}) as client:
        half, whole = await client.chat(), await client.chat()
    assert half.status == 200
    assert int(half.headers["content-length"]) == len(half.raw) == len(whole.raw) // 2
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(half.raw)


async def test_an_empty_answer_has_an_empty_or_no_content() -> None:
    async with running(fail={"empty": 1.0}) as client:
        messages = [(await client.chat(str(n))).body["choices"][0]["message"] for n in range(20)]
        assert {message["content"] for message in messages} == {"", None}
        assert {message["refusal"] for message in messages} == {None}
        outputs = [(await client.post("responses", str(n))).body["output"] for n in range(20, 40)]
        assert [] in outputs
        assert "" in [output[0]["content"][0]["text"] for output in outputs if output]
        assert (await client.post("completions", "x")).body["choices"][0]["text"] == ""
        assert (await client.post("embeddings", "y")).body["data"] == []


@pytest.mark.parametrize(
    ("category", "finish_reason", "incomplete_reason"),
    [("length", "length", "max_output_tokens"), ("filter", "content_filter", "content_filter")],
)
async def test_a_cut_answer_says_why(category: str, finish_reason: str, incomplete_reason: str) -> None:
    async with running(fail={category: 1.0}) as client:
        cut, whole = await _choice(client), await _choice(client)
        completion = (await client.post("completions", "two")).body["choices"][0]
        response = (await client.post("responses", "three")).body
    assert cut["finish_reason"] == completion["finish_reason"] == finish_reason
    assert whole["message"]["content"].startswith(cut["message"]["content"])
    assert len(cut["message"]["content"]) < len(whole["message"]["content"])
    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": incomplete_reason}


async def _choice(client: Client) -> Any:
    return (await client.chat()).body["choices"][0]


async def test_a_refusal_is_in_its_own_field() -> None:
    async with running(fail={"refusal": 1.0}) as client:
        message = (await _choice(client))["message"]
        response = (await client.post("responses", "two")).body
        completion = (await client.post("completions", "three")).body
    assert message["content"] is None
    assert "can't help" in message["refusal"]
    assert response["output"][0]["content"] == [{"type": "refusal", "refusal": message["refusal"]}]
    assert completion["choices"][0]["text"] == message["refusal"]


@pytest.mark.parametrize("category", ["length", "filter", "refusal", "wrong_schema"])
async def test_an_embedding_has_no_words_to_spoil(category: str) -> None:
    async with running(fail={category: 1.0}) as client:
        reply = await client.post("embeddings")
        assert client.sim.stats.by_category == {}
    assert len(reply.body["data"][0]["embedding"]) == 8


async def test_a_slow_answer_takes_at_least_a_second_and_is_right() -> None:
    loop = asyncio.get_running_loop()
    async with running(fail={"slow": 1.0}) as client:
        before = loop.time()
        assert (await client.chat()).status == 200
        assert loop.time() - before >= 1.0
        assert client.sim.stats.answered_ok == 1
        assert client.sim.stats.by_category == {"slow": 1}
