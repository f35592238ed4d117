"""What goes beyond a pod's own batch: outputs for users who show a signature, dead letters for batches that retry them.

A signature can be made by whoever may read the batch's Secret, so the API server's rules decide who reads results.
"""

import contextlib
import re
from collections.abc import Callable

from aiohttp import web

from llmbatch_contract.errors import InputMissingError, StoreMissingError
from llmbatch_contract.wire import PARTIAL, RESULTS, batch_key, is_signed
from llmbatch_operator.coordinator.callers import caller_of_live_batch
from llmbatch_operator.coordinator.desk import Desk, Identities, Refused
from llmbatch_operator.coordinator.names import Area, ObjectKey, object_key
from llmbatch_operator.coordinator.objects import Objects
from llmbatch_operator.coordinator.sending import send, send_blocks

LONGEST_S = 600
_ERRORS = ("errors.jsonl", "errors.jsonl.gz", "errors.jsonl.zst")
"""One of them, by `output.compression`; its reader unpacks it."""
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_EXPIRES = re.compile(r"[0-9]{1,12}")


class ResultCalls:
    """GET /v1/results/NAMESPACE/BATCH/NAME?expires=…&signature=…, and partial/results or partial/errors for NAME"""

    def __init__(self, desk: Desk, objects: Objects, master_key: bytes, clock: Callable[[], float]) -> None:
        self._desk = desk
        self._objects = objects
        self._master_key = master_key
        self._clock = clock

    async def answer(self, request: web.BaseRequest, rest: str) -> web.StreamResponse:
        """`rest` is namespace/batch/name."""
        _check_method(request)
        namespace, _, batch_and_name = rest.partition("/")
        batch, _, name = batch_and_name.partition("/")
        uid = self._desk.batch_uid(namespace, batch)
        self._check_signature(request, rest, uid)
        if name.startswith(PARTIAL):
            return await self._answer_partial(request, uid or "", name.removeprefix(PARTIAL))
        return await _send(request, self._objects, object_key(uid or "", Area.OUTPUT, name))

    async def _answer_partial(self, request: web.BaseRequest, uid: str, which: str) -> web.StreamResponse:
        if request.method != "GET":
            raise Refused(405, "records of finished shards are read with GET")
        if which not in ("results", "errors"):
            raise Refused(404, "finished shards have results and errors")
        try:
            blocks = await self._objects.finished(uid, errors=which == "errors")
        except StoreMissingError:
            raise StoreMissingError("no shard is finished yet, or the whole batch is") from None
        async with contextlib.aclosing(blocks):
            return await send_blocks(request, blocks)

    def _check_signature(self, request: web.BaseRequest, rest: str, uid: str | None) -> None:
        """A batch that does not exist is not told from a wrong signature: it is no one's business. Raises Refused."""
        expires, given = request.query.get("expires", ""), request.query.get("signature", "")
        is_whole = _EXPIRES.fullmatch(expires) and _SIGNATURE.fullmatch(given)
        key = batch_key(self._master_key, uid or "")
        if not is_whole or not is_signed(key, f"{RESULTS}/{rest}", int(expires), given) or uid is None:
            raise Refused(403, "the signature is wrong, or there is no such batch")
        remaining_s = int(expires) - self._clock()
        if remaining_s < 0:
            raise Refused(403, "the signature has expired; make a new one")
        if remaining_s > LONGEST_S:
            raise Refused(403, f"the signature is for more than {LONGEST_S} seconds; make a shorter one")


class DeadLetterCalls:
    """GET /v1/dead-letters/BATCH, for pods of the same namespace: errors.jsonl as it is stored, packed or not."""

    def __init__(self, desk: Desk, identities: Identities, objects: Objects) -> None:
        self._desk = desk
        self._identities = identities
        self._objects = objects

    async def answer(self, request: web.BaseRequest, batch: str) -> web.StreamResponse:
        """The dead letters of that batch."""
        _check_method(request)
        who = await caller_of_live_batch(request, self._identities, self._desk)
        uid = self._desk.batch_uid(who.namespace, batch)
        if uid is None:
            raise InputMissingError(f"there is no batch {batch!r} in namespace {who.namespace}")
        for name in _ERRORS:
            with contextlib.suppress(StoreMissingError):
                return await _send(request, self._objects, object_key(uid, Area.OUTPUT, name))
        raise InputMissingError(f"batch {batch} has no {_ERRORS[0]} yet: it has to finish first")


async def _send(request: web.BaseRequest, objects: Objects, key: ObjectKey) -> web.StreamResponse:
    with contextlib.closing(await objects.read(key)) as opened:
        return await send(request, opened)


def _check_method(request: web.BaseRequest) -> None:
    if request.method not in ("GET", "HEAD"):
        raise Refused(405, "this is read with GET and HEAD")
