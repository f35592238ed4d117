"""Exact search for ids that stand twice, in memory that does not grow with the items.

Ids are kept as 64-bit hashes, in buckets that are searched one by one; many of them on disk, 16 bytes an item. Equal
hashes are only a suspicion: the ids behind them are read again and compared.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import NamedTuple, Self

import orjson

from llmbatch_contract.errors import DuplicateIdError
from llmbatch_worker.planning.spill import Spill

_BUCKETS = 1024
_MOST_HASHES = 1_000_000
_MOST_BYTES = 16 << 20
_SUSPECT_BYTES = 200


class Place(NamedTuple):
    """Where an item stands."""

    name: str
    """Of its file or object."""
    line: int


_Suspect = tuple[int, str, int, str]
"""Number, file, line and id."""


class Suspects:
    """Numbers of items whose ids may stand twice: a bit for each item."""

    def __init__(self, items: int) -> None:
        self._bits = bytearray(items // 8 + 1)

    def add(self, number: int) -> None:
        self._bits[number >> 3] |= 1 << (number & 7)

    def __contains__(self, number: int) -> bool:
        return self._bits[number >> 3] >> (number & 7) & 1 == 1

    def __bool__(self) -> bool:
        return any(self._bits)


class SeenIds:
    """The hashes of all ids so far. To be closed."""

    def __init__(self) -> None:
        self.items = 0
        self._held = 0
        self._spill = Spill()
        self._buckets = _empty_buckets()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._spill.__exit__(kind, error, traceback)

    def add(self, ids: Sequence[str]) -> None:
        """Note the ids of the next items."""
        buckets = self._buckets
        for number, code in enumerate(map(hash, ids), self.items):
            bucket = buckets[code % _BUCKETS]
            bucket.append(code)
            bucket.append(number)
        self.items += len(ids)
        self._held += len(ids)
        if self._held >= _MOST_HASHES:
            self._write_out()

    def _write_out(self) -> None:
        for number, bucket in enumerate(self._buckets):
            if bucket:
                self._spill.write(number, bucket.tobytes())
        self._buckets, self._held = _empty_buckets(), 0

    def suspects(self) -> Suspects:
        """The items whose hash another item has, too."""
        found = Suspects(self.items)
        for number in range(_BUCKETS):
            repeated = _repeated(code for pairs in self._pieces(number) for code in pairs[::2])
            if repeated:
                for pairs in self._pieces(number):
                    for code, item in zip(pairs[::2], pairs[1::2], strict=True):
                        if code in repeated:
                            found.add(item)
        return found

    def _pieces(self, bucket: int) -> "Iterator[array[int]]":
        for data in self._spill.read(bucket):
            yield array("q", data)
        yield self._buckets[bucket]


def _empty_buckets() -> "list[array[int]]":
    return [array("q") for _ in range(_BUCKETS)]


def _repeated(codes: Iterable[int]) -> set[int]:
    seen: set[int] = set()
    return {code for code in codes if code in seen or seen.add(code)}  # type: ignore[func-returns-value]


def check_suspects(ids: Iterable[tuple[Place, str]], suspects: Suspects, id_field: str) -> None:
    """Read place and id of all items again. Raises DuplicateIdError that tells the first id that repeats."""
    with Spill() as spill:
        _sort_out(ids, suspects, spill)
        first: tuple[int, Place, Place, str] | None = None
        repeats = 0
        for bucket in range(_BUCKETS):
            found, count = _compare(spill.read(bucket))
            repeats += count
            if found is not None and (first is None or found[0] < first[0]):
                first = found
    if first is not None:
        raise DuplicateIdError(_sentence(*first[1:], repeats, id_field))


def _sort_out(ids: Iterable[tuple[Place, str]], suspects: Suspects, spill: Spill) -> None:
    """Write number, place and id of the suspects into buckets: equal ids are in the same."""
    buckets: dict[int, list[_Suspect]] = {}
    held = 0
    for number, (place, item_id) in enumerate(ids):
        if number in suspects:
            buckets.setdefault(hash(item_id) % _BUCKETS, []).append((number, *place, item_id))
            held += len(item_id) + _SUSPECT_BYTES
            if held >= _MOST_BYTES:
                _write_out(buckets, spill)
                held = 0
    _write_out(buckets, spill)


def _write_out(buckets: dict[int, list[_Suspect]], spill: Spill) -> None:
    for bucket, found in buckets.items():
        spill.write(bucket, orjson.dumps(found))
    buckets.clear()


def _compare(pieces: Iterable[bytes]) -> tuple[tuple[int, Place, Place, str] | None, int]:
    """The first item that repeats an id, with both places, and how many do."""
    places: dict[str, Place] = {}
    first, repeats = None, 0
    for piece in pieces:
        for number, name, line, item_id in orjson.loads(piece):
            if item_id in places:
                repeats += 1
                first = first or (number, Place(name, line), places[item_id], item_id)
            else:
                places[item_id] = Place(name, line)
    return first, repeats


def _sentence(place: Place, earlier: Place, item_id: str, repeats: int, id_field: str) -> str:
    there = f"on line {earlier.line}" if earlier.name == place.name else f"in {earlier.name}:{earlier.line}"
    many = f"{repeats:,} items repeat an id" if repeats > 1 else "no other item repeats one"
    return f"{place.name}:{place.line}: {id_field} {item_id!r} stands already {there}; ids must be unique, and {many}"
