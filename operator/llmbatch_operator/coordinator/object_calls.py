"""/v1/objects: the objects of the pod's own batch. Which batch that is, its token says and never the path."""

import contextlib
import json

from aiohttp import web

from llmbatch_contract.errors import StoreFullError
from llmbatch_contract.wire import ONLY_CREATE
from llmbatch_operator.coordinator.callers import blocks, caller_of_live_batch
from llmbatch_operator.coordinator.desk import Desk, Identities, PodIdentity, Refused
from llmbatch_operator.coordinator.names import folder_key, object_key
from llmbatch_operator.coordinator.objects import Objects
from llmbatch_operator.coordinator.sending import send

(_ONLY_CREATE,) = ONLY_CREATE.items()


class ObjectCalls:
    """Reads and writes objects for pods."""

    def __init__(self, desk: Desk, identities: Identities, objects: Objects) -> None:
        self._desk = desk
        self._identities = identities
        self._objects = objects
        self._refused: set[str] = set()

    async def answer(self, request: web.BaseRequest, rest: str) -> web.StreamResponse:
        """`rest` is area/name, or an area."""
        who = await caller_of_live_batch(request, self._identities, self._desk)
        area, _, name = rest.partition("/")
        match request.method:
            case "GET" if not name:
                return await self._list(request, who, area)
            case "GET" | "HEAD":
                return await self._read(request, who, area, name)
            case "PUT":
                return await self._write(request, who, area, name)
        raise Refused(405, "objects are read with GET and HEAD, and written with PUT")

    async def _list(self, request: web.BaseRequest, who: PodIdentity, area: str) -> web.Response:
        names = await self._objects.names(folder_key(who.batch_uid, area, request.query.get("prefix", "")))
        return web.Response(body=json.dumps(names).encode(), content_type="application/json")

    async def _read(self, request: web.BaseRequest, who: PodIdentity, area: str, name: str) -> web.StreamResponse:
        with contextlib.closing(await self._objects.read(object_key(who.batch_uid, area, name))) as opened:
            return await send(request, opened)

    async def _write(self, request: web.BaseRequest, who: PodIdentity, area: str, name: str) -> web.Response:
        key = object_key(who.batch_uid, area, name)
        header, value = _ONLY_CREATE
        only_create = request.headers.get(header) == value
        try:
            async with contextlib.aclosing(blocks(request)) as body:
                await self._objects.write(key, body, size=request.content_length, only_create=only_create)
        except StoreFullError as error:
            self._tell_full(who.batch_uid, str(error))
            raise
        self._tell_room(who.batch_uid)
        return web.Response(status=201)

    def _tell_full(self, batch_uid: str, sentence: str) -> None:
        self._refused.add(batch_uid)
        self._desk.store_is_full(batch_uid, sentence)

    def _tell_room(self, batch_uid: str) -> None:
        if batch_uid in self._refused:
            self._refused.discard(batch_uid)
            self._desk.store_is_full(batch_uid, None)
