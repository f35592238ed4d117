"""What a request to the endpoint carries beside its body."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from engine.own_endpoint import chat_answer, serving
from llmbatch_contract.spec import Api, Endpoint
from llmbatch_worker.client import Client, Response

_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_OWN = {"Accept-Encoding"}
"""Of aiohttp."""


async def _seen(body: bytes = b"{}", traceparent: str | None = None, **endpoint: Any) -> tuple[list[Any], str]:
    """The headers that came, and the address at which."""
    came: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        assert await request.read() == body
        came.extend((name.lower(), value) for name, value in request.headers.items() if name not in _OWN)
        return chat_answer()

    async with serving(handler) as url:
        async with Client(Endpoint(url=url, **endpoint), 10, "1.2.3") as client:
            response = await client.send(Api.CHAT, body, "uid-7", traceparent)
        assert isinstance(response, Response)
        return came, urlsplit(url).netloc


async def test_a_request_has_these_headers_each_once() -> None:
    came, authority = await _seen(b'{"model": "m"}', _PARENT)
    assert sorted(came) == [
        ("accept", "application/json"),
        ("content-length", "14"),
        ("content-type", "application/json"),
        ("host", authority),
        ("idempotency-key", "uid-7"),
        ("traceparent", _PARENT),
        ("user-agent", "llmbatch/1.2.3"),
    ]


async def test_without_spans_no_header_names_one() -> None:
    came, _ = await _seen()
    assert "traceparent" not in dict(came)


async def test_headers_of_the_endpoint_come_in_place_of_ours_however_they_are_written() -> None:
    came, _ = await _seen(headers={"User-Agent": "mine", "X-Tenant": "a b", "Host": "gateway"})
    assert [value for name, value in came if name == "user-agent"] == ["mine"]
    assert [value for name, value in came if name == "host"] == ["gateway"]
    assert dict(came)["x-tenant"] == "a b"


async def test_the_key_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    came, _ = await _seen(api_key_secret={"name": "openai", "key": "api-key"})
    assert dict(came)["authorization"] == "Bearer sk-1"
