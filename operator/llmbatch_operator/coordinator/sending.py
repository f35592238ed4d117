"""Sends an object as the answer to GET or HEAD: whole or a range, in blocks, to readers that do read."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Protocol

from aiohttp import web

from llmbatch_contract.errors import InputChangedError, InvariantError, StoreError
from llmbatch_operator.coordinator.answers import range_answer
from llmbatch_operator.coordinator.objects import BLOCK_BYTES
from llmbatch_operator.coordinator.ranges import RangeError, Span, is_match, span

_SLOWEST_BLOCK_S = 60
_CONTENT = {
    # Answers of models are in there: no browser shall take them for a page of the API server.
    "Content-Type": "application/octet-stream",
    "X-Content-Type-Options": "nosniff",
}

_log = logging.getLogger(__name__)


class Readable(Protocol):
    """An open object."""

    size: int
    etag: str

    async def read(self, start: int, end: int) -> bytes:
        """Bytes of one block or less."""
        ...


async def send(request: web.BaseRequest, opened: Readable) -> web.StreamResponse:
    """Answer with the object. Raises InputChangedError if it is not the one of If-Match."""
    if not is_match(request.headers.get("If-Match"), opened.etag):
        raise InputChangedError("the object has changed since it was looked at")
    try:
        wanted = span(request.headers.get("Range"), opened.size)
    except RangeError:
        return range_answer(opened.size)
    if request.method != "HEAD" and wanted.end - wanted.start <= BLOCK_BYTES:
        body = await opened.read(wanted.start, wanted.end)
        return web.Response(body=body, status=_status(wanted), headers=_headers(opened, wanted))
    return await _stream(request, opened, wanted)


async def _stream(request: web.BaseRequest, opened: Readable, wanted: Span) -> web.StreamResponse:
    response = web.StreamResponse(status=_status(wanted), headers=_headers(opened, wanted))
    response.content_length = wanted.end - wanted.start
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    try:
        for start in range(wanted.start, wanted.end, BLOCK_BYTES):
            await _write(response, await opened.read(start, min(start + BLOCK_BYTES, wanted.end)))
    except (ConnectionError, TimeoutError, StoreError) as error:
        _log.warning("Sending an object ended early: %r", error)
        _hang_up(request)
    return response


async def send_blocks(request: web.BaseRequest, blocks: AsyncIterator[bytes]) -> web.StreamResponse:
    """Answer GET with a stream whose size nobody knows; broken off, it is not taken for the whole."""
    response = web.StreamResponse(headers=_CONTENT)
    await response.prepare(request)
    try:
        async for block in blocks:
            await _write(response, block)
    except (ConnectionError, TimeoutError, StoreError, InvariantError) as error:
        _log.warning("Sending records of finished shards ended early: %r", error)
        _hang_up(request)
    return response


async def _write(response: web.StreamResponse, block: bytes) -> None:
    async with asyncio.timeout(_SLOWEST_BLOCK_S):
        await response.write(block)


def _hang_up(request: web.BaseRequest) -> None:
    """The one way to say, in the middle of an answer, that there will be no more of it."""
    if request.transport is not None:
        request.transport.abort()


def _status(wanted: Span) -> int:
    return 206 if wanted.is_part else 200


def _headers(opened: Readable, wanted: Span) -> dict[str, str]:
    headers = {
        "ETag": f'"{opened.etag}"',
        "Accept-Ranges": "bytes",
        **_CONTENT,
    }
    if wanted.is_part:
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.end - 1}/{opened.size}"
    return headers
