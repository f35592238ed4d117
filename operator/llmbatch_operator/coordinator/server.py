"""The coordinator's HTTPS server: start, stop, routes. The operator makes one; everything it answers is in the calls.

It is aiohttp's low-level server with a dictionary for a router: hundreds of pods report every second.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from aiohttp import web

from llmbatch_contract.errors import LLMBatchError
from llmbatch_contract.wire import DEAD_LETTERS, OBJECTS, REPORT, RESULTS
from llmbatch_operator.coordinator.answers import error_answer
from llmbatch_operator.coordinator.certificates import ServerCertificate
from llmbatch_operator.coordinator.connections import HttpServer, has_asked
from llmbatch_operator.coordinator.desk import Desk, Identities, Refused
from llmbatch_operator.coordinator.object_calls import ObjectCalls
from llmbatch_operator.coordinator.objects import Objects
from llmbatch_operator.coordinator.reporting import ReportCalls
from llmbatch_operator.coordinator.result_calls import DeadLetterCalls, ResultCalls
from llmbatch_telemetry.meters import Meters

_BACKLOG = 1024
_HANDSHAKE_S = 10
_LAST_ANSWERS_S = 1.0
"""Given twice at the end: to answer in peace, and to notice that it is over."""
_LOOK_AT_CERTIFICATE_S = 3600

Answer = Callable[[web.BaseRequest, str], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)


class CoordinatorServer:
    """Serves from `start` to `close`."""

    def __init__(
        self,
        desk: Desk,
        identities: Identities,
        objects: Objects,
        *,
        master_key: bytes,
        certificate: ServerCertificate,
        meters: Meters | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._routes: dict[str, Answer] = {
            REPORT: ReportCalls(desk, identities, meters or Meters(is_on=False)).answer,
            OBJECTS: ObjectCalls(desk, identities, objects).answer,
            DEAD_LETTERS: DeadLetterCalls(desk, identities, objects).answer,
            RESULTS: ResultCalls(desk, objects, master_key, clock).answer,
            "/healthz": _health,
        }
        self._certificate = certificate
        self._clock = clock
        self._http: HttpServer | None = None
        self._server: asyncio.Server | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Serve; port 0 takes a free one. The port."""
        self._http = HttpServer(self._handle)
        self._server = await asyncio.get_running_loop().create_server(
            self._http,
            host,
            port,
            ssl=self._certificate.context,
            ssl_handshake_timeout=_HANDSHAKE_S,
            backlog=_BACKLOG,
        )
        self._renewing = asyncio.create_task(self._renew_certificate())
        listening: socket.socket = self._server.sockets[0]
        return int(listening.getsockname()[1])

    async def close(self) -> None:
        """Accept nothing more, let what is being written end for a short while."""
        if self._server is None or self._http is None or self._renewing is None:
            return
        self._renewing.cancel()
        self._server.close()
        self._http.pre_shutdown()
        await self._http.shutdown(_LAST_ANSWERS_S)
        self._server = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        has_asked(request)
        parts = request.path.split("/", 3)
        prefix = "/".join(parts[:3])
        answer = self._routes.get(prefix)
        try:
            if answer is None:
                raise Refused(404, f"there is nothing at {prefix}")
            return await answer(request, parts[3] if len(parts) > 3 else "")
        except (Refused, LLMBatchError) as error:
            return error_answer(error)

    async def _renew_certificate(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_AT_CERTIFICATE_S)
            if self._certificate.renew_if_due(datetime.fromtimestamp(self._clock(), UTC)):
                _log.info("The coordinator has a new certificate until %s", self._certificate.expires_at)


async def _health(_: web.BaseRequest, __: str) -> web.StreamResponse:
    return web.Response(text="ok")
