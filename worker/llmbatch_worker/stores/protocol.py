"""What a store of objects can do. Plan, shards and finalize work with these, and know none of the kinds of stores.

Calls block; async callers use a thread. An object is there whole or not at all, and what is said to be written lasts.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

Write = Callable[[bytes], None]


@dataclass(frozen=True)
class ObjectInfo:
    """What a store says of an object."""

    size: int
    etag: str | None


class Readable(Protocol):
    """Objects to read. Raises StoreError and its kinds, with the object's full name."""

    def info(self, name: str) -> ObjectInfo:
        """Size and version of an object."""

    def blocks(self, name: str, start: int, end: int, etag: str | None = None) -> Iterator[bytes]:
        """The bytes from `start` to `end`, in blocks. Raises InputChangedError if the object's ETag is another."""

    def where(self, name: str) -> str:
        """The object as the user knows it; the store itself for an empty name."""


class Store(Readable, Protocol):
    """Objects to read and to write."""

    def read(self, name: str) -> bytes:
        """A whole object."""

    def put(self, name: str, data: bytes) -> None:
        """Write an object, over an older one if there is one."""

    def create(self, name: str, data: bytes) -> bool:
        """Write an object only if there is none of that name; False if there is."""

    def exists(self, name: str) -> bool:
        """Whether there is an object of that name."""

    def names(self, prefix: str) -> list[str]:
        """Names of all objects below a prefix, sorted."""

    def writer(self, name: str) -> AbstractContextManager[Write]:
        """A function that writes an object bit by bit; the object appears when the block ends without an error."""


class Stores(Protocol):
    """Opens stores by URI: which kinds there are depends on where the worker runs."""

    def open(self, uri: str) -> Store:
        """A store for working objects or outputs. Raises StoreError, and InputError for a URI of no known kind."""

    def open_input(self, uri: str) -> tuple[Readable, str]:
        """The store of an input, and the input's name in it. Nothing is made that is not there."""
