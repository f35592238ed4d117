"""Serves `/metrics` to Prometheus, without a password: it tells names of batches and how they go, nothing they ask.

What is collected is put into words in a thread: with hundreds of batches that takes longer than others can wait.
"""

import asyncio
from collections.abc import Callable

from aiohttp import web

from llmbatch_operator.coordinator.connections import HttpServer, has_asked
from llmbatch_operator.telemetry.exposition import exposition
from llmbatch_telemetry.meters import Point

_LAST_ANSWERS_S = 1.0


class MetricsPage:
    """Serves from `start` to `close`."""

    def __init__(self, collect: Callable[[], list[Point]]) -> None:
        self._collect = collect
        self._server: asyncio.Server | None = None
        self._http: HttpServer | None = None
        self._one_at_a_time = asyncio.Semaphore(1)

    async def start(self, host: str, port: int) -> int:
        """Serve; port 0 takes a free one. The port."""
        self._http = HttpServer(self._answer)
        self._server = await asyncio.get_running_loop().create_server(self._http, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Serve no more."""
        if self._server is not None and self._http is not None:
            self._server.close()
            self._http.pre_shutdown()
            await self._http.shutdown(_LAST_ANSWERS_S)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        has_asked(request)
        if request.path != "/metrics":
            return web.Response(status=404, text="the metrics are at /metrics")
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, text="metrics are read with GET", headers={"Allow": "GET, HEAD"})
        async with self._one_at_a_time:
            body, content_type = await asyncio.to_thread(self._page, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    def _page(self, accept: str) -> tuple[bytes, str]:
        return exposition(self._collect(), accept)
