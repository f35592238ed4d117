"""Sends requests: the only file of the worker that knows HTTP libraries.

httpx with the aiohttp transport, called without httpx's client on top: no redirects, cookies or auth flows are wanted,
and it takes half the time. The key is added here and appears nowhere else.
"""

import asyncio
import os
import ssl
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from llmbatch_contract.categories import Category
from llmbatch_contract.errors import MissingSecretError
from llmbatch_contract.spec import Api, Endpoint

_KEEPALIVE_S = 30.0
_READ = frozenset((b"retry-after", b"retry-after-ms", b"x-request-id")) | {
    f"x-ratelimit-{what}-{of}".encode()
    for what in ("remaining", "reset")
    for of in ("requests", "tokens", "input-tokens")
}
_EXTENSIONS = {"timeout": {"connect": 15.0}}


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer, of whatever status."""

    status: int
    headers: Mapping[str, str]
    """Those that say how long to wait, and the request's id; names in lower case."""
    body: bytes
    latency_s: float


@dataclass(frozen=True, slots=True)
class NoResponse:
    """No whole answer came."""

    category: Category
    """timeout or connection."""
    message: str
    latency_s: float = 0.0
    was_sent: bool = True
    """The endpoint may have seen the request; False only if no connection could be made."""


class Client:
    """One endpoint. Use as an async context manager. Raises MissingSecretError when made without its key."""

    def __init__(self, endpoint: Endpoint, timeout_s: float, version: str) -> None:
        self._url = endpoint.base_url
        self._timeout_s = timeout_s
        self._key = _api_key(endpoint)
        self._headers = {
            "content-type": "application/json",
            "accept": "application/json",
            "user-agent": f"llmbatch/{version}",
            **{name.lower(): value for name, value in endpoint.headers.items()},
        }
        if self._key:
            self._headers["authorization"] = f"Bearer {self._key}"
        self._requests = {api: (httpx.URL(f"{self._url}{api.path}")) for api in Api}
        context = ssl.create_default_context() if self._url.startswith("https") else False
        self._transport = AiohttpTransport(
            verify=context,
            proxy=_proxy(self._url),
            limits=httpx.Limits(keepalive_expiry=_KEEPALIVE_S),
            client=self._session,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.aclose()

    def _session(self) -> aiohttp.ClientSession:
        """A session without what costs time at every request: cookies, and looking up proxies and .netrc.

        It holds the headers that all requests have, for the same reason.
        """
        connector = aiohttp.TCPConnector(
            limit=0, ssl=self._transport.ssl_context, ttl_dns_cache=60, keepalive_timeout=_KEEPALIVE_S
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers=self._headers)

    async def send(
        self, api: Api, body: bytes, idempotency_key: str, traceparent: str | None = None
    ) -> Response | NoResponse:
        """Send one request and read the whole answer; failures of any kind come back as values."""
        request = self._request(api, body, idempotency_key, traceparent)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._transport.handle_async_request(request)
                content = await response.aread()
        except TimeoutError:
            return NoResponse(Category.TIMEOUT, f"no answer within {self._timeout_s:g} s", _since(started))
        except (httpx.HTTPError, aiohttp.ClientError, OSError, ValueError) as error:
            was_sent = not isinstance(error.__cause__, aiohttp.ClientConnectorError)
            return NoResponse(Category.CONNECTION, self._describe(error), _since(started), was_sent)
        latency_s = _since(started)
        answered = {
            n.lower().decode("latin-1"): v.decode("latin-1") for n, v in response.headers.raw if n.lower() in _READ
        }
        return Response(response.status_code, answered, self._without_key(content), latency_s)

    def _request(self, api: Api, body: bytes, idempotency_key: str, traceparent: str | None) -> httpx.Request:
        headers = [(b"idempotency-key", idempotency_key.encode())]
        if traceparent is not None:
            headers.append((b"traceparent", traceparent.encode()))
        # Given as a stream, the body brings no headers: aiohttp adds host and content-length anyway.
        stream = httpx.ByteStream(body)
        request = httpx.Request("POST", self._requests[api], headers=headers, stream=stream, extensions=_EXTENSIONS)
        request.headers.encoding = "utf-8"  # else it is found out for each request
        request.read()
        return request

    def _describe(self, error: Exception) -> str:
        host, cause = urlsplit(self._url).netloc, error.__cause__ or error
        if isinstance(cause, aiohttp.ClientConnectorError) and cause.os_error.errno:
            number = cause.os_error.errno  # name look-ups have negative ones, and words of their own
            return f"cannot connect to {host}: {os.strerror(number) if number > 0 else cause.os_error.strerror}"
        return self._hide(f"connection to {host} failed: {str(cause) or type(cause).__name__}")

    def _without_key(self, content: bytes) -> bytes:
        """Endpoints echo a wrong key in their error; it must not reach a file."""
        return content.replace(self._key.encode(), b"[API key]") if self._key else content

    def _hide(self, text: str) -> str:
        return text.replace(self._key, "[API key]") if self._key else text


def _since(started: float) -> float:
    return time.perf_counter() - started


def _api_key(endpoint: Endpoint) -> str | None:
    secret = endpoint.api_key_secret
    if secret is None:
        return None
    key = os.environ.get(secret.env_name, "").strip()
    if not key:
        raise MissingSecretError(
            f"spec.endpoint.apiKeySecret: the environment variable {secret.env_name} is not set; "
            f"it stands for key {secret.key!r} of Secret {secret.name!r} in a local run"
        )
    if not (key.isascii() and key.isprintable()):
        raise MissingSecretError(
            f"spec.endpoint.apiKeySecret: the environment variable {secret.env_name} holds no key: "
            "there are line breaks or other characters in it that no header can carry"
        )
    return key


def check_api_key(endpoint: Endpoint) -> None:
    """Raise MissingSecretError if the key that requests need is not there."""
    _api_key(endpoint)


def _proxy(url: str) -> httpx.Proxy | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY give for a URL."""
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy is None or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return httpx.Proxy(proxy)
