"""The HTTP server: routes, start and stop.

`Simulator` is the face of the package: the command runs it, tests use it in their own event loop. It is
aiohttp's low-level server with a dictionary for a router, since a benchmark must not measure the simulator.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader

from llmbatch_cli.simulator import control
from llmbatch_cli.simulator.asked import Api
from llmbatch_cli.simulator.delivery import json_answer
from llmbatch_cli.simulator.endpoint import Endpoint
from llmbatch_cli.simulator.errors import ApiError
from llmbatch_cli.simulator.settings import SimulatorSettings
from llmbatch_cli.simulator.stats import Stats

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

# What still runs when the server stops is given this long, twice: to end by itself and to be cancelled.
_STOP_TIMEOUT_S = 0.1
_MAX_BODY_BYTES = 64 * 1024 * 1024
_BACKLOG = 4096


class Simulator:
    """`async with Simulator(settings) as sim:` serves at `sim.url` until the block ends."""

    def __init__(self, settings: SimulatorSettings | None = None) -> None:
        self._endpoint = Endpoint(settings or SimulatorSettings())
        self._routes = _routes(self._endpoint)
        self._runner: web.ServerRunner | None = None

    @property
    def settings(self) -> SimulatorSettings:
        return self._endpoint.settings

    @property
    def stats(self) -> Stats:
        return self._endpoint.stats

    @property
    def root_url(self) -> str:
        """Where the control endpoints are, such as `/stats`."""
        if self._runner is None:
            raise RuntimeError("the simulator does not run")
        port = self._runner.addresses[0][1]
        return f"http://{_reachable(self.settings.host)}:{port}"

    @property
    def url(self) -> str:
        """The base URL for clients, with /v1."""
        return f"{self.root_url}/v1"

    def update(self, **changes: Any) -> None:
        """Changes settings while it runs, as PATCH /settings does. Raises SettingsError."""
        self._endpoint.change(self._endpoint.settings.changed(changes))

    def reset(self) -> None:
        """Forgets the statistics and the attempts seen, as POST /stats/reset does."""
        self._endpoint.reset()

    async def __aenter__(self) -> Self:
        server = web.Server(self._handle, request_factory=_make_request, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=_STOP_TIMEOUT_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.settings.host, self.settings.port, backlog=_BACKLOG)
        await site.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._endpoint.is_stopping = True
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        handler = self._routes.get((request.method, request.path))
        return _not_found(request, self._routes) if handler is None else await handler(request)


def _routes(endpoint: Endpoint) -> dict[tuple[str, str], Handler]:
    return {
        ("POST", "/v1/chat/completions"): partial(endpoint.answer, Api.CHAT),
        ("POST", "/v1/responses"): partial(endpoint.answer, Api.RESPONSES),
        ("POST", "/v1/completions"): partial(endpoint.answer, Api.COMPLETIONS),
        ("POST", "/v1/embeddings"): partial(endpoint.answer, Api.EMBEDDINGS),
        ("GET", "/v1/models"): endpoint.list_models,
        ("GET", "/healthz"): partial(control.healthz, endpoint),
        ("GET", "/stats"): partial(control.show_stats, endpoint),
        ("POST", "/stats/reset"): partial(control.reset_stats, endpoint),
        ("GET", "/settings"): partial(control.show_settings, endpoint),
        ("PATCH", "/settings"): partial(control.change_settings, endpoint),
    }


def _not_found(request: web.BaseRequest, routes: dict[tuple[str, str], Handler]) -> web.Response:
    where = f"{request.method} {request.path}"
    if any(path == request.path for _, path in routes):
        error = ApiError(405, f"Not allowed to {where}", code="method_not_supported")
    else:
        error = ApiError(404, f"Invalid URL ({where})", code="unknown_url")
    return json_answer(error.body(), error.status)


def _make_request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    loop = task.get_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_MAX_BODY_BYTES)


def _reachable(host: str) -> str:
    """A client cannot connect to "all interfaces"."""
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
