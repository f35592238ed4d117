"""A receiver of webhooks on loopback, and an operator's postman whose clock the test turns.

async with receiving() as receiver:             answers 200, or what it was told to
    async with delivering(outbox) as post:      delivers what is in the outbox
        await post.until(lambda: receiver.got)
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from llmbatch_operator.events import Event
from llmbatch_operator.facts import Body
from llmbatch_operator.kube import CallError, Kube
from llmbatch_operator.notify.outbox import Outbox
from llmbatch_operator.notify.posting import Postman

MASTER = b"the operator's own key"
HANG = 0
"""An answer that never comes."""
_PATIENCE_S = 10.0


@dataclass
class Got:
    """One request."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """Of the message."""
        return self.headers["webhook-id"]

    @property
    def message(self) -> dict[str, Any]:
        """As JSON."""
        message: dict[str, Any] = orjson.loads(self.body)
        return message


@dataclass
class Receiver:
    """What it has got, and how it answers."""

    got: list[Got] = field(default_factory=list)
    answers: deque[int] = field(default_factory=deque)
    headers: dict[str, str] = field(default_factory=dict)
    answer: int = 200
    """Once `answers` are used up."""
    most_at_once: int = 0
    url: str = ""
    _now: int = 0

    async def take(self, request: web.Request) -> web.Response:
        """Any request."""
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            self.got.append(Got(request.headers, await request.read()))
            status = self.answers.popleft() if self.answers else self.answer
            if status == HANG:
                await asyncio.sleep(_PATIENCE_S)
            return web.Response(status=status or 200, headers=self.headers, text="x" * 100_000)
        finally:
            self._now -= 1


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook/", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    receiver.url = f"http://{host}:{port}/hook/"
    try:
        yield receiver
    finally:
        await runner.cleanup()


class KeyKube(Kube):
    """Keeps Secrets that are created."""

    def __init__(self) -> None:
        self.secrets: list[Body] = []
        self.refusals = 0
        """So many calls fail."""

    async def create_secret(self, body: Body) -> Body | None:
        """As Kube's."""
        if self.refusals:
            self.refusals -= 1
            raise CallError(403, "forbidden")
        self.secrets.append(body)
        return body


@dataclass
class Post:
    """A postman at work, and what it did."""

    outbox: Outbox
    kube: KeyKube = field(default_factory=KeyKube)
    seconds: float = 0
    told: list[tuple[Body, Event]] = field(default_factory=list)
    woken: list[str] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)

    def after(self, seconds: float) -> None:
        """So much time passes."""
        self.seconds += seconds
        self.outbox.on_news()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(_PATIENCE_S):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.005)


@asynccontextmanager
async def delivering(outbox: Outbox, *, allow_local: bool = True, timeout_s: float = 5) -> AsyncIterator[Post]:
    """A postman that runs."""
    post = Post(outbox)
    postman = Postman(
        outbox,
        post.kube,
        MASTER,
        tell=lambda body, event: post.told.append((body, event)),
        wake=post.woken.append,
        count=post.counted.append,
        allow_local=allow_local,
        timeout_s=timeout_s,
        key_again_s=0.01,
        clock=lambda: post.seconds,
    )
    task = asyncio.create_task(postman.run())
    try:
        yield post
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
