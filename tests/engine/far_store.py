"""Stores in memory that behave as one far away: every request is counted, and they can go away and come back.

far = FarStores(CLOUD_CADENCE)
engine = Engine(..., stores=far, troubles=far)
with far.away("part-"): ...          writes of such names wait, and are told of as trouble
far.requests                         a Counter by kind of request
"""

import contextlib
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from llmbatch_contract.errors import StoreAwayError, StoreMissingError
from llmbatch_contract.reports import StoreTrouble
from llmbatch_worker.stores.protocol import CLOUD_CADENCE, Cadence, Found, ObjectInfo, Store, Write

BLOCK_BYTES = 8 << 20


class FarStores:
    """Stores by any URI, and their troubles."""

    def __init__(self, cadence: Cadence = CLOUD_CADENCE) -> None:
        self.cadence = cadence
        self.objects: dict[str, bytes] = {}
        self.requests: Counter[str] = Counter()
        self.ends_at = float("inf")
        self._is_away_for: str | None = None
        self._waiting_since: dict[int, float] = {}
        self._changed = threading.Condition()

    def open(self, uri: str) -> Store:
        return FarStore(self, uri)

    def open_input(self, uri: str) -> tuple[Store, str]:
        folder, _, name = uri.rpartition("/")
        return FarStore(self, folder), name

    def find_inputs(self, uri: str) -> Iterable[Found]:
        store, name = self.open_input(uri)
        return [Found(uri, store.info(name))]

    @contextlib.contextmanager
    def away(self, part_of_name: str = "") -> Iterator[None]:
        """Requests about such names wait meanwhile."""
        self.go_away(part_of_name)
        try:
            yield
        finally:
            self.come_back()

    def go_away(self, part_of_name: str = "") -> None:
        self._is_away_for = part_of_name

    def come_back(self) -> None:
        with self._changed:
            self._is_away_for = None
            self._changed.notify_all()

    def now(self) -> StoreTrouble | None:
        """The trouble at the moment."""
        since = min(self._waiting_since.values(), default=None)
        if since is None:
            return None
        return StoreTrouble(kind="away", message="the store does not answer", for_s=time.monotonic() - since)

    def end_in(self, seconds: float) -> None:
        with self._changed:
            self.ends_at = min(self.ends_at, time.monotonic() + seconds)
            self._changed.notify_all()

    def asked(self, kind: str, name: str) -> None:
        """Count a request; wait while the store is away."""
        self.requests[kind] += 1
        me = threading.get_ident()
        with self._changed:
            while self._is_away_for is not None and self._is_away_for in name:
                self._waiting_since.setdefault(me, time.monotonic())
                if (left_s := self.ends_at - time.monotonic()) <= 0:
                    del self._waiting_since[me]
                    raise StoreAwayError(f"cannot reach {name}: the store does not answer")
                self._changed.wait(min(left_s, 60.0))
            self._waiting_since.pop(me, None)


@dataclass(frozen=True)
class FarStore:
    """Objects below a URI: a Store."""

    far: FarStores
    uri: str

    @property
    def cadence(self) -> Cadence:
        return self.far.cadence

    def where(self, name: str) -> str:
        return f"{self.uri}/{name}"

    def _held(self, kind: str, name: str) -> bytes:
        self.far.asked(kind, name)
        try:
            return self.far.objects[self.where(name)]
        except KeyError:
            raise StoreMissingError(f"{self.where(name)}: there is no such object") from None

    def info(self, name: str) -> ObjectInfo:
        data = self._held("head", name)
        return ObjectInfo(len(data), hashlib.sha256(data).hexdigest())

    def blocks(self, name: str, start: int, end: int, etag: str | None = None) -> Iterator[bytes]:
        for at in range(start, end, BLOCK_BYTES):
            yield self._held("get", name)[at : min(end, at + BLOCK_BYTES)]

    def read(self, name: str) -> bytes:
        return self._held("get", name)

    def put(self, name: str, data: bytes) -> None:
        self.far.asked("put", name)
        self.far.objects[self.where(name)] = data

    def create(self, name: str, data: bytes) -> bool:
        self.far.asked("put", name)
        return self.far.objects.setdefault(self.where(name), data) is data

    def exists(self, name: str) -> bool:
        self.far.asked("head", name)
        return self.where(name) in self.far.objects

    def names(self, prefix: str) -> list[str]:
        self.far.asked("list", prefix)
        whole = self.where(prefix)
        return sorted(name.removeprefix(f"{self.uri}/") for name in list(self.far.objects) if name.startswith(whole))

    @contextlib.contextmanager
    def writer(self, name: str) -> Iterator[Write]:
        blocks: list[bytes] = []
        yield blocks.append
        self.put(name, b"".join(blocks))

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            self.far.asked("delete", name)
            self.far.objects.pop(self.where(name), None)
