"""Who uses how much of the built-in store, and who may write more. Counted in memory; no I/O.

Bytes are reserved before they are written, so that a limit holds while many write at once. Used by `objects` only.
"""

from dataclasses import dataclass, field

from llmbatch_contract.errors import StoreFullError
from llmbatch_operator.coordinator.names import Area
from llmbatch_operator.shown import readable_bytes


@dataclass(frozen=True)
class Limits:
    """What the store may hold, in bytes."""

    batch: int
    """Working objects of one batch."""
    total: int
    """All batches together."""
    output_reserve: int
    """What outputs may use beyond `total`: a batch whose answers are paid for can end in a full store."""


@dataclass
class BatchBytes:
    """What one batch has stored and is writing."""

    stored: dict[Area, int] = field(default_factory=lambda: dict.fromkeys(Area, 0))
    reserved: dict[Area, int] = field(default_factory=lambda: dict.fromkeys(Area, 0))
    is_removed: bool = False

    def used(self, area: Area) -> int:
        """Bytes of an area, those on their way included."""
        return self.stored[area] + self.reserved[area]

    @property
    def total(self) -> int:
        """Bytes of the batch, those on their way included."""
        return sum(self.stored.values()) + sum(self.reserved.values())


class Ledger:
    """The bytes of all batches."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._batches: dict[str, BatchBytes] = {}
        self.total = 0
        """Bytes of all batches, those on their way included."""

    def set_stored(self, uid: str, stored: dict[Area, int]) -> None:
        """What was counted on the disk."""
        batch = self._batches.setdefault(uid, BatchBytes())
        self.total += sum(stored.values()) - sum(batch.stored.values())
        batch.stored = dict(stored)

    def forget(self, uid: str) -> None:
        """The batch's objects are removed; what it is writing right now will not be kept."""
        if (batch := self._batches.pop(uid, None)) is not None:
            self.total -= batch.total
            batch.is_removed = True

    def usage(self) -> dict[str, int]:
        """Bytes by batch."""
        return {uid: batch.total for uid, batch in self._batches.items()}

    def reserve(self, uid: str, area: Area, size: int) -> "Reservation":
        """Room for a new object; size 0 if its size is not known. Raises StoreFullError."""
        reservation = Reservation(self, self._batches.setdefault(uid, BatchBytes()), area)
        reservation.grow_to(size)
        return reservation

    def take(self, batch: BatchBytes, area: Area, more: int) -> None:
        """Reserve `more` bytes. Raises StoreFullError."""
        if area is Area.WORK and batch.used(area) + more > self.limits.batch:
            raise StoreFullError(_batch_is_full(self.limits.batch))
        if self.total + more > self.limits.total + (self.limits.output_reserve if area is Area.OUTPUT else 0):
            raise StoreFullError(_store_is_full(self.limits.total))
        batch.reserved[area] += more
        self._count(batch, more)

    def give_back(self, batch: BatchBytes, area: Area, reserved: int, stored: int) -> None:
        """A reservation ends; `stored` is by how much the disk has become fuller."""
        batch.reserved[area] -= reserved
        batch.stored[area] += stored
        self._count(batch, stored - reserved)

    def _count(self, batch: BatchBytes, more: int) -> None:
        if not batch.is_removed:
            self.total += more


@dataclass
class Reservation:
    """Room for one object while it is written. Ends with `settle` or `release`."""

    ledger: Ledger
    batch: BatchBytes
    area: Area
    size: int = 0

    def grow_to(self, size: int) -> None:
        """The object has at least `size` bytes. Raises StoreFullError."""
        if size > self.size:
            self.ledger.take(self.batch, self.area, size - self.size)
            self.size = size

    def settle(self, size: int, replaced: int) -> None:
        """The object is there, in place of one of `replaced` bytes."""
        self.ledger.give_back(self.batch, self.area, self.size, size - replaced)

    def release(self) -> None:
        """The object was not written."""
        self.ledger.give_back(self.batch, self.area, self.size, 0)


def _batch_is_full(limit: int) -> str:
    return (
        f"the built-in store allows one batch {readable_bytes(limit)} of working objects and this one needs more; "
        "raise LLMBATCH_STORE_BATCH_LIMIT of the operator, the batch goes on by itself"
    )


def _store_is_full(limit: int) -> str:
    return (
        f"the built-in store is full: all batches together may use {readable_bytes(limit)}; delete batches that are no "
        "longer needed or raise LLMBATCH_STORE_LIMIT of the operator, the batch goes on by itself"
    )
