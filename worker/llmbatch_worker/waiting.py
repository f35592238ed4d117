"""Waits for an event, but not for ever. Used wherever something is done now and then, or as soon as there is news."""

import asyncio
import contextlib


async def wait_for_event(event: asyncio.Event, at_most_s: float) -> None:
    """Return when the event is set, or after so many seconds (which may be infinite)."""
    if at_most_s == float("inf"):
        await event.wait()
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(at_most_s):
            await event.wait()
