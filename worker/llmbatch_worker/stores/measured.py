"""Any Stores, with the time of their calls measured. Reading and writing bit by bit counts until its end."""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar, cast

from llmbatch_contract.errors import LLMBatchError
from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Meters
from llmbatch_worker.stores.protocol import Cadence, Found, ObjectInfo, Readable, Store, Stores, Write

T = TypeVar("T")


def measured(stores: Stores, meters: Meters) -> Stores:
    """The same stores; measured only if somebody wants to know."""
    if not meters.is_on or isinstance(stores, MeasuredStores):
        return stores
    return MeasuredStores(stores, _Times(meters))


@dataclass(frozen=True)
class _Times:
    """Calls come from several threads, and meters are not made for that."""

    meters: Meters
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def of(self, operation: str) -> Iterator[None]:
        started, error = time.perf_counter(), ""
        try:
            yield
        except LLMBatchError as failure:
            error = type(failure).__name__
            raise
        finally:
            took_s = time.perf_counter() - started
            with self._lock:
                self.meters.record(names.STORE_DURATION, took_s, operation, error)


@dataclass(frozen=True)
class MeasuredStores:
    """Stores whose objects are measured. Made by `measured`."""

    stores: Stores
    times: _Times

    def open(self, uri: str) -> Store:
        """A store for working objects or outputs."""
        return _MeasuredStore(self.stores.open(uri), self.times)

    def open_input(self, uri: str) -> tuple[Readable, str]:
        """The store of an input, and the input's name in it."""
        found, name = self.stores.open_input(uri)
        return _MeasuredReadable(found, self.times), name

    def find_inputs(self, uri: str) -> Iterable[Found]:
        """The objects that a URI stands for."""
        return _each(self.stores.find_inputs(uri), self.times, "list")


def _each(values: Iterable[T], times: _Times, operation: str) -> Iterator[T]:
    """The same values; getting each of them is measured."""
    iterator, end = iter(values), object()
    while True:
        with times.of(operation):
            value = next(iterator, end)
        if value is end:
            return
        yield cast("T", value)


class _MeasuredReadable:
    """A Readable."""

    def __init__(self, inner: Readable, times: _Times) -> None:
        self._inner, self._times = inner, times

    def info(self, name: str) -> ObjectInfo:
        with self._times.of("head"):
            return self._inner.info(name)

    def blocks(self, name: str, start: int, end: int, etag: str | None = None) -> Iterator[bytes]:
        return _each(self._inner.blocks(name, start, end, etag), self._times, "get")

    def where(self, name: str) -> str:
        return self._inner.where(name)


class _MeasuredStore(_MeasuredReadable):
    """A Store."""

    def __init__(self, inner: Store, times: _Times) -> None:
        super().__init__(inner, times)
        self._store = inner

    def read(self, name: str) -> bytes:
        with self._times.of("get"):
            return self._store.read(name)

    def put(self, name: str, data: bytes) -> None:
        with self._times.of("put"):
            self._store.put(name, data)

    def create(self, name: str, data: bytes) -> bool:
        with self._times.of("create"):
            return self._store.create(name, data)

    def exists(self, name: str) -> bool:
        with self._times.of("head"):
            return self._store.exists(name)

    def names(self, prefix: str) -> list[str]:
        with self._times.of("list"):
            return self._store.names(prefix)

    @property
    def cadence(self) -> Cadence:
        return self._store.cadence

    def remove(self, names: Iterable[str]) -> None:
        with self._times.of("remove"):
            self._store.remove(names)

    @contextlib.contextmanager
    def writer(self, name: str) -> Iterator[Write]:
        with self._times.of("put"), self._store.writer(name) as write:
            yield write
