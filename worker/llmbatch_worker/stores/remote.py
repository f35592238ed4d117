"""The store that the coordinator keeps for pods, with the promises of a local one.

While the coordinator is away or its store is full, calls wait (see the channel); then nothing has been lost.
"""

import contextlib
import tempfile
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from typing import IO

import orjson

from llmbatch_contract import wire
from llmbatch_contract.errors import InputChangedError, StoreError, StoreFullError, StoreMissingError
from llmbatch_worker.channel import Answer, Body, Call, Channel
from llmbatch_worker.stores.protocol import FOLDER_CADENCE, Cadence, ObjectInfo, Write

BLOCK_BYTES = 1 << 20
_IN_MEMORY_BYTES = 8 << 20
"""A larger object waits in a temporary file until it is whole."""
_OK, _CONFLICT, _NO_RANGE = 200, 412, 416


class CoordinatorStore:
    """One area of objects at the coordinator: a Store."""

    def __init__(self, channel: Channel, uri: str, path: str) -> None:
        """`uri` is what users see, `path` where the coordinator has it."""
        self._channel, self._uri, self._path = channel, uri.rstrip("/"), path

    @property
    def cadence(self) -> Cadence:
        """A call costs little, and nobody pays for it."""
        return FOLDER_CADENCE

    def info(self, name: str) -> ObjectInfo:
        """Size and version of an object."""
        with self._naming("read", name):
            answer = self._channel.ask(Call("HEAD", self._at(name)))
        size = int(answer.headers.get("content-length", "0"))  # some servers say nothing of nothing
        return ObjectInfo(size, answer.headers.get("etag"))

    def read(self, name: str) -> bytes:
        """A whole object."""
        with self._naming("read", name):
            return self._channel.ask(Call("GET", self._at(name))).content

    def blocks(self, name: str, start: int, end: int, etag: str | None = None) -> Iterator[bytes]:
        """The bytes from `start` to `end`, in blocks."""
        while start < end:
            block = self._range(name, start, min(end, start + BLOCK_BYTES), etag)
            start += len(block)
            yield block

    def _range(self, name: str, start: int, stop: int, etag: str | None) -> bytes:
        headers = {"range": f"bytes={start}-{stop - 1}"} | ({"if-match": etag} if etag is not None else {})
        with self._naming("read", name):
            answer = self._channel.ask(Call("GET", self._at(name), headers=headers, fine=(_CONFLICT, _NO_RANGE)))
        if answer.status == _CONFLICT:
            raise InputChangedError(f"{self.where(name)} has changed since it was planned")
        block = answer.content[start:stop] if answer.status == _OK else answer.content
        if answer.status == _NO_RANGE or len(block) < stop - start:
            raise InputChangedError(f"{self.where(name)} has become shorter than when it was planned")
        return block

    def put(self, name: str, data: bytes) -> None:
        """Write an object, over an older one if there is one."""
        self._send(name, len(data), lambda: (data,))

    def create(self, name: str, data: bytes) -> bool:
        """Write an object only if there is none of that name; False if there is.

        When an answer was lost, the object of which the next try is told may be this very one: its content tells.
        """
        answer = self._send(name, len(data), lambda: (data,), only_create=True)
        if answer.status != _CONFLICT:
            return True
        return answer.tries > 1 and self.read(name) == data

    def _send(self, name: str, size: int, body: Body, *, only_create: bool = False) -> Answer:
        headers = {"content-length": str(size)} | (wire.ONLY_CREATE if only_create else {})
        with self._naming("write", name):
            fine = (_CONFLICT,) if only_create else ()
            return self._channel.ask(Call("PUT", self._at(name), headers=headers, body=body, fine=fine))

    def exists(self, name: str) -> bool:
        """Whether there is an object of that name."""
        try:
            self.info(name)
        except StoreMissingError:
            return False
        return True

    def names(self, prefix: str) -> list[str]:
        """Names of all objects below a prefix, sorted."""
        with self._naming("list", prefix):
            answer = self._channel.ask(Call("GET", self._path, query={"prefix": prefix}))
        return sorted(orjson.loads(answer.content))

    @contextlib.contextmanager
    def writer(self, name: str) -> Iterator[Write]:
        """A function that writes an object bit by bit. It is sent when it is whole, so that it can be sent again."""
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as file:
            yield _careful(file.write, f"cannot write {self.where(name)}")
            self._send(name, file.tell(), lambda: _pieces(file))

    def remove(self, names: Iterable[str]) -> None:
        """The coordinator itself removes a batch's objects, when the batch is deleted."""
        if first := next(iter(names), None):
            raise StoreError(f"cannot remove {self.where(first)}: objects of the built-in store go with their batch")

    def where(self, name: str) -> str:
        """The object's URI."""
        return f"{self._uri}/{name}" if name else self._uri

    def _at(self, name: str) -> str:
        return f"{self._path}/{urllib.parse.quote(name)}"

    @contextlib.contextmanager
    def _naming(self, what: str, name: str) -> Iterator[None]:
        """Say which object is missing: a coordinator's answer to HEAD has no words."""
        try:
            yield
        except StoreMissingError as error:
            raise StoreMissingError(f"cannot {what} {self.where(name)}: there is no such object") from error


def _pieces(file: IO[bytes]) -> Iterable[bytes]:
    file.seek(0)
    return iter(lambda: file.read(BLOCK_BYTES), b"")


def _careful(write: Callable[[bytes], int], what: str) -> Write:
    """A full disk of the pod is a full store."""

    def careful(data: bytes) -> None:
        try:
            write(data)
        except OSError as error:
            raise StoreFullError(f"{what}: the pod's temporary files have no room: {error.strerror}") from error

    return careful
