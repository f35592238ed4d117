"""aiohttp's server and connection, set up for many small requests of clients that are not all to be trusted."""

import asyncio
from asyncio import sslproto
from typing import Any

from aiohttp import web

_OPTIONS: dict[str, Any] = {
    "access_log": None,
    "keepalive_timeout": 120,
    # A packed body may unpack to any size: nobody sends one.
    "auto_decompress": False,
}
_FIRST_REQUEST_S = 30
_READ_AT_ONCE = 32 << 10


class HttpServer(web.Server):
    """Makes the connections; the largest body that is read whole is aiohttp's, 1 MiB."""

    def __init__(self, handler: Any) -> None:
        super().__init__(handler)
        # asyncio keeps 256 KiB for each TLS connection to read into: of thousands of workers, half a gigabyte.
        sslproto.SSLProtocol.max_size = _READ_AT_ONCE

    def __call__(self) -> web.RequestHandler:
        """A connection."""
        return _Connection(self, loop=asyncio.get_running_loop(), **_OPTIONS)


class _Connection(web.RequestHandler):
    """Hangs up on those who connect and say nothing."""

    has_asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        asyncio.get_running_loop().call_later(_FIRST_REQUEST_S, self._hang_up_if_silent)

    def _hang_up_if_silent(self) -> None:
        if not self.has_asked and self.transport is not None:
            self.transport.abort()


def has_asked(request: web.BaseRequest) -> None:
    """A whole request has come."""
    if isinstance(request.protocol, _Connection):
        request.protocol.has_asked = True
