"""What one writes first: a default httpx.AsyncClient, gather and a semaphore."""

import asyncio
from typing import Any

import httpx

from benchmarks.inside.questions import bodies
from benchmarks.inside.timing import Stretch


def measure(url: str, items: int, in_flight: int) -> dict[str, Any]:
    """Ask about all items."""
    return asyncio.run(_ask_all(url, bodies(items), in_flight))


async def _ask_all(url: str, asked: list[dict[str, Any]], in_flight: int) -> dict[str, Any]:
    places = asyncio.Semaphore(in_flight)

    async def ask(client: httpx.AsyncClient, body: dict[str, Any]) -> str:
        async with places:
            response = await client.post(f"{url}/chat/completions", json=body)
            response.raise_for_status()
            return str(response.json()["choices"][0]["message"]["content"])

    async with httpx.AsyncClient() as client:
        await ask(client, asked[0])  # what is loaded and connected late is not measured
        stretch = Stretch()
        await asyncio.gather(*(ask(client, body) for body in asked))
        return stretch.end(len(asked))
