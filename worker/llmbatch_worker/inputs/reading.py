"""Reads the items of a planned input again, shard by shard. Used by shards and by finalize."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import orjson

from llmbatch_contract.layout import UNPACKED_INPUT
from llmbatch_contract.plan import PlannedInput, Shard
from llmbatch_contract.spec import InputFormat
from llmbatch_worker.inputs.ahead import ahead
from llmbatch_worker.inputs.csv_rows import read_csv
from llmbatch_worker.inputs.jsonl import read_jsonl
from llmbatch_worker.inputs.lines import lines_of
from llmbatch_worker.inputs.openai_batch import ID_FIELD, read_openai
from llmbatch_worker.inputs.rows import Row, id_of
from llmbatch_worker.stores.local import LOCAL
from llmbatch_worker.stores.protocol import ObjectInfo, Readable, Store, Stores

if TYPE_CHECKING:
    from llmbatch_worker.inputs.parquet_rows import ParquetObject

_OPENED_OBJECTS = 128
_OPENED_FOOTERS = 4
_SMALL_BYTES = 1 << 20


class _Range(NamedTuple):
    """A part of one object."""

    object: int
    start: int
    end: int


def _size(part: _Range) -> int:
    return part.end - part.start if part.end - part.start <= _SMALL_BYTES else 0


class PlannedItems:
    """The items of a planned input, shard by shard."""

    def __init__(
        self, planned: PlannedInput, id_field: str | None, working_store: Store, stores: Stores = LOCAL
    ) -> None:
        self._planned = planned
        self._id_field = ID_FIELD if planned.format is InputFormat.OPENAI else id_field
        self._working, self._stores = working_store, stores
        self._opened = lru_cache(_OPENED_OBJECTS)(self._open)
        self._parquet = lru_cache(_OPENED_FOOTERS)(self._open_parquet)

    def rows(self, shard: Shard) -> Iterator[tuple[int, str, Row]]:
        """Number among the planned items, id and row of each. Raises InputChangedError, StoreError."""
        if self._planned.numbered:
            for number, (own, row) in enumerate(self._numbered_rows(shard), shard.first_item):
                yield number, id_of(row.item, self._id_field, own), row
            return
        for number, row in enumerate(self._rows(shard), shard.first_item):
            yield number, id_of(row.item, self._id_field, number), row

    def _numbered_rows(self, shard: Shard) -> Iterator[tuple[int, Row]]:
        """Of a selection: each with its number in the input."""
        start = shard.start
        for count, line in enumerate(lines_of(self._unpacked(shard), UNPACKED_INPUT), 1):
            number, item = orjson.loads(line)
            end = start + len(line) + 1
            yield number, Row(count, start, end, item)
            start = end

    def _unpacked(self, shard: Shard) -> Iterator[bytes]:
        return self._working.blocks(UNPACKED_INPUT, shard.start, shard.end)

    def _rows(self, shard: Shard) -> Iterator[Row]:
        if self._planned.unpacked:
            yield from read_jsonl(self._unpacked(shard), UNPACKED_INPUT, shard.start, is_bounded=False)
            return
        ranges = list(self._ranges(shard))
        if self._planned.format is InputFormat.PARQUET:
            for each in ranges:
                yield from self._parquet(each.object).read(each.start, each.end, self._planned.columns)
            return
        for each, blocks in map(self._read, ranges) if len(ranges) == 1 else ahead(ranges, self._read_small, _size):
            yield from self._rows_of(each, blocks)

    def _ranges(self, shard: Shard) -> Iterator[_Range]:
        for number in range(shard.first_object, shard.last_object + 1):
            planned = self._planned.objects[number]
            start = shard.start if number == shard.first_object else planned.data_start
            end = shard.end if number == shard.last_object else planned.data_end
            if start < end:
                yield _Range(number, start, end)

    def _read(self, part: _Range) -> tuple[_Range, Iterable[bytes]]:
        store, key = self._opened(part.object)
        return part, store.blocks(key, part.start, part.end, self._planned.objects[part.object].etag)

    def _read_small(self, part: _Range) -> tuple[_Range, Iterable[bytes]]:
        """Of several objects, small ones are read whole, ahead of who takes their items."""
        _, blocks = self._read(part)
        return part, list(blocks) if part.end - part.start <= _SMALL_BYTES else blocks

    def _rows_of(self, part: _Range, blocks: Iterable[bytes]) -> Iterator[Row]:
        store, key = self._opened(part.object)
        planned, name = self._planned, store.where(key)
        match planned.format:
            case InputFormat.CSV:
                return read_csv(blocks, name, part.start, columns=planned.fields, delimiter=planned.delimiter)
            case InputFormat.OPENAI:
                return read_openai(blocks, name, part.start)
            case _:
                return read_jsonl(blocks, name, part.start)

    def _open(self, number: int) -> tuple[Readable, str]:
        return self._stores.open_input(self._planned.objects[number].uri)

    def _open_parquet(self, number: int) -> "ParquetObject":
        from llmbatch_worker.inputs.parquet_rows import ParquetObject

        planned = self._planned.objects[number]
        return ParquetObject(*self._opened(number), ObjectInfo(planned.size, planned.etag))
