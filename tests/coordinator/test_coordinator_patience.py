"""Clients that are slow or say nothing: the coordinator waits for a while, and not for ever."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from coordinator.coordinator_bench import MIB, POD_A, TICKETS, Bench, files_below, serving, trusting, until
from llmbatch_operator.coordinator import callers, connections, sending

_HEADERS = f"Host: x\r\nAuthorization: Bearer {POD_A}\r\n"


@asynccontextmanager
async def connected(bench: Bench) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    context = trusting(bench.authority)
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.port, ssl=context, server_hostname="localhost")
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


@pytest.mark.parametrize(
    "said", [pytest.param(b"", id="nothing at all"), pytest.param(b"POST /v1/report HT", id="half a request line")]
)
async def test_who_asks_nothing_is_hung_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(connections, "_FIRST_REQUEST_S", 0.1)
    async with serving(tmp_path) as bench, connected(bench) as (reader, writer), asyncio.timeout(5):
        writer.write(said)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""


@pytest.mark.parametrize(
    ("line", "patience"),
    [
        pytest.param("POST /v1/report", "_SLOWEST_BODY_S", id="a report"),
        pytest.param("PUT /v1/objects/work/part", "_SLOWEST_BLOCK_S", id="an object"),
    ],
)
async def test_a_body_that_does_not_come_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, patience: str
) -> None:
    monkeypatch.setattr(callers, patience, 0.1)
    async with serving(tmp_path) as bench, connected(bench) as (reader, writer), asyncio.timeout(5):
        writer.write(f"{line} HTTP/1.1\r\n{_HEADERS}Content-Length: 100\r\n\r\nhalf".encode())
        assert await reader.readline() == b"HTTP/1.1 408 Request Timeout\r\n"
        await until(lambda: not files_below(tmp_path))
        assert bench.objects.usage().get(TICKETS, 0) == 0


async def test_a_reader_that_does_not_read_is_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sending, "_SLOWEST_BLOCK_S", 0.2)
    async with serving(tmp_path) as bench, connected(bench) as (reader, writer), asyncio.timeout(10):
        await bench.put("large", bytes(30 * MIB))
        writer.write(f"GET /v1/objects/work/large HTTP/1.1\r\n{_HEADERS}\r\n".encode())
        await reader.readline()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: "ended early" in caplog.text)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        with contextlib.suppress(ConnectionError):
            assert len(await reader.read()) < 30 * MIB


async def test_a_connection_that_waits_takes_little_memory(tmp_path: Path) -> None:
    """Every worker of every batch keeps one."""
    async with serving(tmp_path) as bench, connected(bench) as (_, writer):
        writer.write(f"GET /healthz HTTP/1.1\r\n{_HEADERS}\r\n".encode())
        http = bench.server._http
        assert http is not None
        await until(lambda: http.connections)
        [transport] = [connection.transport for connection in http.connections]
        assert transport is not None
        assert len(transport._ssl_protocol._ssl_buffer) <= 32 << 10  # type: ignore[attr-defined]
