"""A running simulator and a client for it, and the smallest requests for each API."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from llmbatch_cli.simulator import Simulator, SimulatorSettings

PATHS = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "completions": "/completions",
    "embeddings": "/embeddings",
}


def ask(api: str, text: str = "Hello", /, **extra: Any) -> dict[str, Any]:
    """The smallest body of an API that asks about a text."""
    content: dict[str, dict[str, Any]] = {
        "chat": {"messages": [{"role": "user", "content": text}]},
        "responses": {"input": text},
        "completions": {"prompt": text},
        "embeddings": {"input": text},
    }
    return {"model": "m", **content[api], **extra}


@dataclass(frozen=True)
class Reply:
    status: int
    raw: bytes
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None

    @property
    def code(self) -> Any:
        return self.body["error"]["code"]


@dataclass(frozen=True)
class Client:
    sim: Simulator
    session: aiohttp.ClientSession

    async def post(self, api: str, text: str = "Hello", /, **extra: Any) -> Reply:
        return await self.send("POST", f"{self.sim.url}{PATHS[api]}", json=ask(api, text, **extra))

    async def chat(self, text: str = "Hello", /, **extra: Any) -> Reply:
        return await self.post("chat", text, **extra)

    async def control(self, method: str, path: str, **extra: Any) -> Reply:
        return await self.send(method, f"{self.sim.root_url}{path}", **extra)

    async def send(self, method: str, url: str, **extra: Any) -> Reply:
        async with self.session.request(method, url, **extra) as response:
            raw = await response.read()
            headers = {name.lower(): value for name, value in response.headers.items()}
            try:
                body = await response.json()
            except (ValueError, aiohttp.ContentTypeError):
                body = None
            return Reply(response.status, raw, headers, body)


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Client]:
    async with Simulator(SimulatorSettings.parse(settings)) as sim, aiohttp.ClientSession() as session:
        yield Client(sim, session)


async def until(condition: Callable[[], bool], *, tries: int = 5000) -> None:
    for _ in range(tries):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise TimeoutError("the condition never came true")
