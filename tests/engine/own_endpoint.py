"""An endpoint that a test writes itself, where it must see requests or answer as the simulator never would.

async with serving(handler) as url: ...      a handler of aiohttp for chat completions
return chat_answer(usage={...})              what it may return
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Serve on a free port of the loopback; gives the base URL."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def chat_answer(**fields: Any) -> web.Response:
    """A good answer; `fields` are added to the body."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    return web.json_response({"id": "c", "model": "m", "choices": [choice], **fields})
