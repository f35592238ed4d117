"""Answers on the wire: whole, or broken in the way of a category.

The server gives every body to `deliver` and every error to `refuse`.
"""

import math
import socket
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import orjson
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from llmbatch_cli.simulator.categories import Category
from llmbatch_cli.simulator.errors import ApiError

_JSON = "application/json"
_HTML = b"<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>\n"
_LINGER_NOT_AT_ALL = struct.pack("ii", 1, 0)


def json_answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(body), headers={**(headers or {}), "Content-Type": _JSON})


def refuse(error: ApiError, headers: Mapping[str, str], retry_after_format: str, now: datetime) -> web.Response:
    waits = {} if error.wait_s is None else retry_after(retry_after_format, error.wait_s, now)
    return json_answer(error.body(), error.status, {**headers, **waits})


def retry_after(form: str, wait_s: float, now: datetime) -> dict[str, str]:
    """Rounded up, so that a client that waits so long is never too early."""
    match form:
        case "seconds":
            return {"Retry-After": str(max(1, math.ceil(wait_s)))}
        case "date":
            at = now.astimezone(UTC) + timedelta(seconds=wait_s)
            whole = at.replace(microsecond=0) + timedelta(seconds=1 if at.microsecond else 0)
            return {"Retry-After": format_datetime(whole, usegmt=True)}
    return {}


def deliver(category: Category | None, body: bytes, headers: dict[str, str]) -> web.StreamResponse:
    """The answer as it goes out: whole, or broken in the way of the category."""
    match category:
        case Category.HTML:
            return web.Response(body=_HTML, headers={**headers, "Content-Type": "text/html; charset=utf-8"})
        case Category.TRUNCATED_JSON:
            body = body[: len(body) // 2]
        case Category.CLOSE:
            return _ClosedInTheMiddle(body, headers)
        case Category.RESET:
            return _Reset()
    return web.Response(body=body, headers={**headers, "Content-Type": _JSON})


class _Reset(web.StreamResponse):
    """Not an answer: the connection is gone, and the client's kernel hears of it by RST."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        transport = request.transport
        if transport is not None:
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT_AT_ALL)
            transport.abort()
        raise ConnectionResetError("reset on demand")


class _ClosedInTheMiddle(web.StreamResponse):
    """Promises the whole body, sends half of it and closes."""

    def __init__(self, body: bytes, headers: dict[str, str]) -> None:
        super().__init__(headers={**headers, "Content-Type": _JSON, "Content-Length": str(len(body))})
        self._half = body[: len(body) // 2]

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        await super().prepare(request)
        await self.write(self._half)
        if request.transport is not None:
            request.transport.close()
        raise ConnectionResetError("closed on demand")
