"""The engine's HTTP client in a bare loop: sends prepared bodies and only reads what comes back."""

import asyncio
from collections.abc import Iterator
from typing import Any

import orjson

from benchmarks.inside.questions import bodies
from benchmarks.inside.timing import Stretch
from llmbatch_contract.spec import Api, Endpoint
from llmbatch_worker.client import Client, Response


def measure(url: str, items: int, in_flight: int) -> dict[str, Any]:
    """Ask about all items."""
    return asyncio.run(_ask_all(url, [orjson.dumps(body) for body in bodies(items)], in_flight))


async def _ask_all(url: str, prepared: list[bytes], in_flight: int) -> dict[str, Any]:
    async with Client(Endpoint(url=url), 60, "benchmark") as client:
        await _ask(client, iter(enumerate(prepared[:1])))  # what is loaded late is not measured
        stretch = Stretch()
        left = iter(enumerate(prepared))
        await asyncio.gather(*(_ask(client, left) for _ in range(in_flight)))
        return stretch.end(len(prepared))


async def _ask(client: Client, left: Iterator[tuple[int, bytes]]) -> None:
    for number, body in left:
        answer = await client.send(Api.CHAT, body, f"bare-{number}")
        if not isinstance(answer, Response) or answer.status != 200:
            raise RuntimeError(f"the simulator did not answer: {answer}")
