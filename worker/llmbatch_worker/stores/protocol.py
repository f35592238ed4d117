"""What a store of objects can do. Plan, shards and finalize work with these, and know none of the kinds of stores.

Calls block; async callers use a thread. An object is there whole or not at all, and what is said to be written lasts.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

Write = Callable[[bytes], None]


@dataclass(frozen=True)
class ObjectInfo:
    """What a store says of an object."""

    size: int
    etag: str | None


@dataclass(frozen=True)
class Found:
    """One object of an input."""

    uri: str
    """As `Stores.open_input` takes it."""
    info: ObjectInfo


@dataclass(frozen=True)
class Cadence:
    """How often a worker should write, by what a call costs: parts are written when one of these is reached."""

    every_s: float = 2.0
    """Seconds that the oldest record has waited, if there are at least `least_records` to write."""
    least_records: int = 1
    at_most_s: float = 2.0
    """Seconds that the oldest record has waited, with any record to write."""
    mark_items: int = 1
    """Items that a mark of what may be sent covers at least."""
    look_every_s: float = 0.0
    """Seconds between looks, before a part, for another process that took over the shard."""


FOLDER_CADENCE = Cadence()
"""A call costs next to nothing."""
CLOUD_CADENCE = Cadence(every_s=5.0, least_records=50, at_most_s=10.0, mark_items=100, look_every_s=30.0)
"""Calls cost money, and a store bears some thousands a second for all who use it."""


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

    @property
    def cadence(self) -> Cadence:
        """How often to write."""

    def read(self, name: str) -> bytes:
        """A whole object."""

    def put(self, name: str, data: bytes) -> None:
        """Write an object, over an older one if there is one."""

    def create(self, name: str, data: bytes) -> bool:
        """Write an object only if there is none of that name; False if there is.

        Where an answer was lost, one with the very same bytes counts as written by this call.
        """

    def exists(self, name: str) -> bool:
        """Whether there is an object of that name."""

    def names(self, prefix: str) -> list[str]:
        """Names of all objects below a prefix, sorted."""

    def writer(self, name: str) -> AbstractContextManager[Write]:
        """A function that writes an object bit by bit; the object appears when the block ends without an error."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects; those that are not there are passed over."""


class Stores(Protocol):
    """Opens stores by URI: which kinds there are depends on where the worker runs."""

    def open(self, uri: str) -> Store:
        """A store for working objects or outputs. Raises StoreError, and InputError for a URI of no known kind."""

    def open_input(self, uri: str) -> tuple[Readable, str]:
        """The store of an input, and the input's name in it. Nothing is made that is not there."""

    def find_inputs(self, uri: str) -> Iterable[Found]:
        """The objects that a URI stands for, in the order of their names: one, or those of a pattern or a folder (`/`
        at its end). Raises StoreMissingError when there is none, StoreDeniedError, and InputError for a bad pattern."""
