"""TLS before a server that speaks none: `with tls_front(url) as (https_url, authority_pem)`."""

import asyncio
import contextlib
import threading
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime

from llmbatch_operator.coordinator.certificates import ServerCertificate, make_authority

_BLOCK = 65_536


@contextlib.contextmanager
def tls_front(url: str) -> Iterator[tuple[str, bytes]]:
    """An address of this machine with a certificate of an authority that nobody knows."""
    now = datetime.now(UTC)
    authority = make_authority(now)
    certificate = ServerCertificate(authority, ["localhost"], now)
    behind = urllib.parse.urlsplit(url)

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(behind.hostname, behind.port)
        with contextlib.suppress(OSError):
            await asyncio.gather(_copy(reader, server_writer), _copy(server_reader, writer))

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=certificate.context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"https://localhost:{server.sockets[0].getsockname()[1]}", authority.certificate_pem
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while block := await reader.read(_BLOCK):
            writer.write(block)
            await writer.drain()
    finally:
        writer.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    own = asyncio.current_task()
    left = [task for task in asyncio.all_tasks() if task is not own]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
