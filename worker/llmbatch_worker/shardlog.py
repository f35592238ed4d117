"""The checkpoint of one shard: claim, parts, done. Calls block; the engine makes them in threads.

An attempt claims the shard, learns what earlier attempts wrote, and adds parts of its own. Every object is created
once and never changed, and carries the attempt's number, so a stale process can neither overwrite nor mislead; that it
looks for a newer claim now and then only keeps it from spending in vain.
Before items are sent, a mark says how far: what has a mark but no record may have been sent, and is counted as resent.
"""

import io
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import orjson

from llmbatch_contract import layout
from llmbatch_contract.errors import ClaimLostError, InvariantError
from llmbatch_contract.model import Model
from llmbatch_contract.plan import Shard
from llmbatch_contract.progress import ShardProgress, Totals
from llmbatch_contract.records import Record
from llmbatch_worker.stores.protocol import Store
from llmbatch_worker.work import count_record

PartName = tuple[int, int]
"""(attempt, number)."""

PART_BYTES = 4 << 20
"""A part has so many at most, but for its last record."""


class Claim(Model):
    """Who took the shard, and how many items had to be sent again before."""

    worker: str
    claimed_at: str
    resent: int = 0


class Stopped(Model):
    """How an attempt ended in order: no item from `unsent_from` on was sent."""

    unsent_from: int


class Done(Model):
    """The end of a shard: its counts and the parts that hold its records."""

    progress: ShardProgress
    parts: list[PartName]


@dataclass
class _Found:
    """What earlier attempts have written."""

    recorded: bytearray
    totals: Totals = field(default_factory=Totals)
    parts: list[PartName] = field(default_factory=list)

    def add(self, name: PartName, records: Iterable[Record], first_item: int) -> None:
        """Take in a part; a second record of an item counts for nothing."""
        self.parts.append(name)
        for record in records:
            position = record["index"] - first_item
            if not self.recorded[position]:
                self.recorded[position] = 1
                count_record(self.totals, record)


@dataclass
class Unwritten:
    """Records that wait to be written as one part, as lines."""

    lines: list[bytes] = field(default_factory=list)
    size: int = 0
    tally: Totals = field(default_factory=Totals)


class ShardLog:
    """One claimed shard. Made by `open_shard`."""

    def __init__(self, store: Store, shard: Shard, attempt: int, found: _Found, resent: int) -> None:
        self.shard = shard
        self.attempt = attempt
        self.recorded = found.recorded
        self.resent = resent
        self.earlier = found.totals
        self.outstanding = 0
        """Items handed out that have no record yet."""
        self.is_handed_out = False
        """Every item has been handed out."""
        self.marked = 0
        """So many of the first items may be sent, by this attempt's last mark."""
        self.waiting_records = 0
        """Those that wait to be written."""
        self.buffered_bytes = 0
        """Their size."""
        self._store = store
        self._parts = found.parts
        self._next_part = 0
        self._waiting: deque[Unwritten] = deque()

    @property
    def progress(self) -> ShardProgress:
        """What earlier attempts have written."""
        return shard_progress(self.shard, self.attempt, self.earlier, self.resent)

    @property
    def waiting_parts(self) -> int:
        """How many parts the records make that wait to be written."""
        return len(self._waiting)

    @property
    def is_complete(self) -> bool:
        """Every item has a record and every record is written."""
        return self.is_handed_out and self.outstanding == 0 and not self._waiting

    def may_send(self, items: int) -> None:
        """Note that the shard's first `items` items may be sent from now on."""
        if items > self.marked:
            self._store.create(layout.sent(self.shard.number, self.attempt, items), b"")
            self.marked = items

    def add(self, record: Record) -> int:
        """Keep a record until its part is written; returns its size."""
        line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
        if not self._waiting or self._waiting[-1].size >= PART_BYTES:
            self._waiting.append(Unwritten())
        part = self._waiting[-1]
        part.lines.append(line)
        part.size += len(line)
        count_record(part.tally, record)
        self.waiting_records += 1
        self.buffered_bytes += len(line)
        self.outstanding -= 1
        return len(line)

    def take(self) -> Unwritten | None:
        """The next part to write; it is the caller's now. Not to be called from another thread than `add`."""
        if not self._waiting:
            return None
        taken = self._waiting.popleft()
        self.waiting_records -= len(taken.lines)
        self.buffered_bytes -= taken.size
        return taken

    def write_part(self, taken: Unwritten, *, look: bool = True) -> int:
        """Write records as a part and return its number; `look` for a newer claim before. Raises ClaimLostError."""
        if look and self._store.exists(layout.claim(self.shard.number, self.attempt + 1)):
            raise self._lost()
        number, self._next_part = self._next_part, self._next_part + 1
        if not self._store.create(layout.part(self.shard.number, self.attempt, number), b"".join(taken.lines)):
            raise self._lost()
        self._parts.append((self.attempt, number))
        return number

    def finish(self, progress: ShardProgress) -> None:
        """Say that the shard is done. A stale process may have said so first; that word is as good."""
        done = Done(progress=progress, parts=self._parts)
        self._store.create(layout.done(self.shard.number), done.dump_json())

    def stop(self, unsent_from: int) -> None:
        """Note an orderly end before the shard is done."""
        self._store.create(layout.stop(self.shard.number, self.attempt), Stopped(unsent_from=unsent_from).dump_json())

    def _lost(self) -> ClaimLostError:
        where = f"shard {self.shard.number} of {self._store.where('')}"
        return ClaimLostError(f"another process took over {where}; is the batch running twice?")


def shard_progress(shard: Shard, attempt: int, totals: Totals, resent: int) -> ShardProgress:
    """Totals as the word on one shard."""
    return ShardProgress(
        shard=shard.number,
        attempt=attempt,
        items=shard.items,
        succeeded=totals.succeeded,
        failed=totals.failed,
        attempts=totals.attempts,
        retries=totals.retries,
        resent=resent,
        usage=totals.usage,
        latency=dict(totals.latency),
        errors=dict(totals.errors),
        samples=dict(totals.samples),
    )


def open_shard(store: Store, shard: Shard, worker: str, now: str) -> ShardLog | Done:
    """Claim a shard, or learn that it is done. `now` is ISO 8601."""
    first = Claim(worker=worker, claimed_at=now).dump_json()
    if store.create(layout.claim(shard.number, 1), first):  # nobody was here before: there is nothing to look for
        return ShardLog(store, shard, 1, _Found(bytearray(shard.items)), resent=0)
    return _open_again(store, shard, worker, now)


def _open_again(store: Store, shard: Shard, worker: str, now: str) -> ShardLog | Done:
    """Claim a shard on which others have worked."""
    before = _listing(store, shard)
    if before.is_done:
        return read_done(store, shard.number)
    found = _Found(bytearray(shard.items))
    _read_parts(store, shard, before.parts, found)
    resent = resent_so_far(store, shard, before) + _maybe_sent(store, shard, before, found)
    attempt = (before.claims[-1] if before.claims else 0) + 1
    claim = Claim(worker=worker, claimed_at=now, resent=resent).dump_json()
    while not store.create(layout.claim(shard.number, attempt), claim):
        attempt += 1
    after = _listing(store, shard)  # what the process before wrote between our look and our claim
    if after.is_done:
        return read_done(store, shard.number)
    _read_parts(store, shard, sorted(set(after.parts).difference(found.parts)), found)
    return ShardLog(store, shard, attempt, found, resent)


def read_done(store: Store, shard: int) -> Done:
    """The end of a finished shard."""
    return Done.load(store.read(layout.done(shard)))


def read_part(store: Store, shard: Shard, name: PartName) -> list[Record]:
    """The records of a part. Raises InvariantError when it is not as it was written."""
    return list(_records(store, shard, name))


def _records(store: Store, shard: Shard, name: PartName) -> Iterator[Record]:
    """The records of a part, one by one: of large shards there are many."""
    part = layout.part(shard.number, *name)
    try:
        for line in io.BytesIO(store.read(part)):
            record: Record = orjson.loads(line)
            if not 0 <= record["index"] - shard.first_item < shard.items:
                raise InvariantError(f"{store.where(part)} is damaged: item {record['index']} is not of this shard")
            yield record
    except orjson.JSONDecodeError as error:
        raise InvariantError(f"{store.where(part)} is damaged: {error.msg}; remove it and run again") from error


def _listing(store: Store, shard: Shard) -> layout.ShardObjects:
    return layout.read_listing(store.names(layout.shard_prefix(shard.number)))


def _read_parts(store: Store, shard: Shard, names: Iterable[PartName], found: _Found) -> None:
    for name in names:
        found.add(name, _records(store, shard, name), shard.first_item)


def resent_so_far(store: Store, shard: Shard, listing: layout.ShardObjects) -> int:
    """Items that were sent again in this shard, by its last claim."""
    if not listing.claims:
        return 0
    return Claim.load(store.read(layout.claim(shard.number, listing.claims[-1]))).resent


def _maybe_sent(store: Store, shard: Shard, listing: layout.ShardObjects, found: _Found) -> int:
    """Items that the last attempt may have sent and that have no record."""
    last = listing.claims[-1] if listing.claims else 0
    sent = listing.sent.get(last, 0)
    if last in listing.stops:
        sent = min(sent, Stopped.load(store.read(layout.stop(shard.number, last))).unsent_from)
    return found.recorded[:sent].count(0)
