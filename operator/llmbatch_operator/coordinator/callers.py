"""What every call of a pod begins with: who is it, does its batch exist, what does it say."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator

from aiohttp import web

from llmbatch_contract.errors import BatchGoneError
from llmbatch_operator.coordinator.desk import Desk, Identities, PodIdentity, Refused

_BEARER = "Bearer "
_SLOWEST_BODY_S = 10
_SLOWEST_BLOCK_S = 30


async def caller(request: web.BaseRequest, identities: Identities) -> PodIdentity:
    """The pod that asks. Raises Refused."""
    header = request.headers.get("Authorization", "")
    if not header.startswith(_BEARER):
        raise Refused(401, "show the pod's token for the coordinator: Authorization: Bearer …")
    return await identities.who(header.removeprefix(_BEARER).strip())


async def caller_of_live_batch(request: web.BaseRequest, identities: Identities, desk: Desk) -> PodIdentity:
    """The pod that asks. Raises Refused, and BatchGoneError if its batch was deleted."""
    who = await caller(request, identities)
    if desk.batch_uid(who.namespace, who.batch) != who.batch_uid:
        raise gone(who)
    return who


def gone(who: PodIdentity) -> BatchGoneError:
    """The pod's batch was deleted."""
    return BatchGoneError(f"the batch {who.namespace}/{who.batch} of pod {who.pod} was deleted")


async def small_body(request: web.BaseRequest) -> bytes:
    """All that the request says, up to the server's limit. Raises Refused."""
    try:
        with _refusing_broken_requests():
            async with asyncio.timeout(_SLOWEST_BODY_S):
                return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Refused(413, "the report is too large") from None


async def blocks(request: web.BaseRequest) -> AsyncGenerator[bytes]:
    """What the request says, as it comes; ends with an error if the connection breaks. Raises Refused."""
    while True:
        with _refusing_broken_requests():
            async with asyncio.timeout(_SLOWEST_BLOCK_S):
                block = await request.content.readany()
        if not block:
            return
        yield block


@contextlib.contextmanager
def _refusing_broken_requests() -> Iterator[None]:
    """That a pod dies while it writes is an ordinary thing."""
    try:
        yield
    except TimeoutError:
        raise Refused(408, "the request came too slowly") from None
    except (ConnectionError, web.RequestPayloadError):
        raise Refused(400, "the request broke off") from None
