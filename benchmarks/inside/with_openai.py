"""What one writes next: openai.AsyncOpenAI with its default retries, gather and a semaphore."""

import asyncio
from typing import Any

from openai import AsyncOpenAI

from benchmarks.inside.questions import conversations
from benchmarks.inside.timing import Stretch


def measure(url: str, items: int, in_flight: int) -> dict[str, Any]:
    """Ask about all items."""
    return asyncio.run(_ask_all(url, conversations(items), in_flight))


async def _ask_all(url: str, asked: list[Any], in_flight: int) -> dict[str, Any]:
    places = asyncio.Semaphore(in_flight)

    async def ask(client: AsyncOpenAI, messages: Any) -> str | None:
        async with places:
            answer = await client.chat.completions.create(model="m", messages=messages, temperature=0)
            return answer.choices[0].message.content

    async with AsyncOpenAI(base_url=url, api_key="none") as client:
        await ask(client, asked[0])  # what is loaded and connected late is not measured
        stretch = Stretch()
        await asyncio.gather(*(ask(client, messages) for messages in asked))
        return stretch.end(len(asked))
