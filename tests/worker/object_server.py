"""A small coordinator for tests of the worker: objects in memory, reports kept, and trouble on demand.

    with ObjectServer() as server:
        server.url, server.objects["work/plan.json"], server.reports
        server.trouble(Fault.DROP_AFTER, times=2, method="PUT")

It runs in a thread of its own, so that tests may call what blocks. The paths are those of llmbatch_contract.wire.
"""

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Self

import orjson
from aiohttp import web

from llmbatch_contract import wire
from llmbatch_contract.reports import Command, Reply, Report

TOKEN = "the-token"


class Fault(Enum):
    """What may go wrong with a request: a way of losing the connection, or a status."""

    DROP_BEFORE = "the connection is lost before the request is carried out"
    DROP_WITHIN = "the connection is lost within the request's body"
    DROP_AFTER = "the request is carried out, but the answer is lost"
    HANG = "no answer comes"
    UNAUTHORIZED = 401
    FORBIDDEN = 403
    GONE = 410
    INTERNAL = 500
    UNAVAILABLE = 503
    FULL = 507


_SENTENCES = {Fault.FULL: "the store is full: batch x uses 2 GiB", Fault.GONE: "the batch was deleted"}


@dataclass
class _Trouble:
    fault: Fault
    times: float
    method: str
    path: str


class ObjectServer:
    """One batch's objects, and whatever its pods report."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.objects: dict[str, bytes] = {}
        """By area and name, as in `work/plan.json`."""
        self.letters: dict[str, bytes] = {}
        """errors.jsonl of other batches, by name."""
        self.reports: list[Report] = []
        self.requests: list[tuple[str, str]] = []
        """Method and path of all that came."""
        self.token = TOKEN
        self.reply: Callable[[Report], Reply] = lambda _report: Reply(next_report_seconds=0.1)
        self.url = ""
        self._tls = tls
        self._troubles: list[_Trouble] = []
        self._ready, self._closing = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(10)

    def trouble(self, fault: Fault, *, times: float = float("inf"), method: str = "", path: str = "") -> None:
        """Let the next requests of a method, whose path holds `path`, fail."""
        self._troubles.append(_Trouble(fault, times, method, path))

    def heal(self) -> None:
        """No more trouble."""
        self._troubles.clear()

    def command(self, command: Command) -> None:
        """What pods are told from now on."""
        self.reply = lambda _report: Reply(command=command, next_report_seconds=0.1)

    def names(self, area: str = "work") -> list[str]:
        """Names of all objects in an area, sorted."""
        return sorted(name.partition("/")[2] for name in self.objects if name.startswith(f"{area}/"))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = web.Server(self._handle, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self.url = f"http{'s' if self._tls else ''}://localhost:{runner.addresses[0][1]}"
        self._ready.set()
        await self._closing.wait()
        await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        match fault := self._fault(request):
            case None:
                return await self._answer(request)
            case Fault.HANG:
                await asyncio.sleep(60)
            case Fault.DROP_WITHIN:
                await request.content.readany()
            case Fault.DROP_AFTER:
                await self._answer(request)
            case Fault.DROP_BEFORE:
                pass
            case _:
                return _refusal(fault.value, _SENTENCES.get(fault, "trouble"))
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    def _fault(self, request: web.BaseRequest) -> Fault | None:
        for trouble in self._troubles:
            if trouble.times > 0 and trouble.method in ("", request.method) and trouble.path in request.path:
                trouble.times -= 1
                return trouble.fault
        return None

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        data = await request.content.read()
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return _refusal(401, "the token is not valid")
        area, _, name = request.path.removeprefix(f"{wire.OBJECTS}/").partition("/")
        if request.path == wire.REPORT:
            self.reports.append(Report.load(data))
            return web.Response(body=self.reply(self.reports[-1]).dump_json())
        if request.path.startswith(wire.DEAD_LETTERS):
            return self._dead_letters(request)
        if not name:
            names = [n for n in self.names(area) if n.startswith(request.query["prefix"])]
            return web.Response(body=orjson.dumps(names))
        return (
            self._put(request, data) if request.method == "PUT" else _get(request, self.objects.get(f"{area}/{name}"))
        )

    def _put(self, request: web.BaseRequest, data: bytes) -> web.Response:
        key = request.path.removeprefix(f"{wire.OBJECTS}/")
        if request.headers.get("if-none-match") == "*" and key in self.objects:
            return _refusal(412, "it is there", "StoreError")
        self.objects[key] = data
        return web.Response(status=201)

    def _dead_letters(self, request: web.BaseRequest) -> web.Response:
        letters = self.letters.get(request.path.rpartition("/")[2])
        return _refusal(404, "not finished", "InputMissingError") if letters is None else _get(request, letters)


def _get(request: web.BaseRequest, data: bytes | None) -> web.Response:
    if data is None:
        return _refusal(404, "there is no such object", "StoreMissingError")
    etag = f'"{hash(data):x}"'
    if request.headers.get("if-match", etag) != etag:
        return _refusal(412, "it has changed", "InputChangedError")
    asked = request.http_range
    if asked.start is None:
        return web.Response(body=data, headers={"etag": etag})
    if asked.start >= len(data):
        return _refusal(416, "it is shorter", "InputChangedError")
    return web.Response(status=206, body=data[asked], headers={"etag": etag})


def _refusal(status: int, sentence: str, kind: str = "") -> web.Response:
    return web.Response(status=status, text=sentence, headers={wire.ERROR_KIND: kind} if kind else {})


@contextlib.contextmanager
def later(action: Callable[[], object], after_s: float) -> Iterator[None]:
    """Do something a little later, in another thread; it is done when the block has ended."""
    timer = threading.Timer(after_s, action)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def until(condition: Callable[[], bool], deadline_s: float = 20.0) -> None:
    """Wait until a condition holds, while other threads or processes work."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)
