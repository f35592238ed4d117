"""Rows of a Parquet file as items: only the columns that are asked for, a bounded number of rows at a time.

The columns of small row groups come in few large reads; a row group too large for that is streamed, column by column
side by side. Used where inputs are planned and where shards are read; `parquet_values.py` says what values become.
"""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from llmbatch_contract.errors import InputError
from llmbatch_worker.inputs.parquet_file import ObjectFile, Range
from llmbatch_worker.inputs.parquet_footer import Footer, open_parquet, unreadable
from llmbatch_worker.inputs.parquet_values import values_of
from llmbatch_worker.inputs.rows import Row, Rows
from llmbatch_worker.stores.protocol import ObjectInfo, Readable

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_LOAD_BYTES = 16 << 20
"""Row groups with no more than this in the columns asked for are read at once, several of them if they are small."""
_LEAST_PIECE_BYTES = 64 << 10
_LARGEST_PIECE_BYTES = 4 << 20
_DECODED_BYTES = 2 << 20
_ROWS_AT_ONCE = 2000
_CELLS_AT_ONCE = 40_000
"""As values of items they take much more room than in the file, where what repeats is stored once."""


class ParquetObject:
    """A Parquet file in a store, opened by its footer. Raises InputError, InputChangedError and StoreError.

    It may be read several times at once.
    """

    def __init__(self, source: Readable, name: str, info: ObjectInfo) -> None:
        self._source, self._name, self._info = source, name, info
        self._where = source.where(name)
        self._footer = Footer(self._file(), self._where)
        self.columns: list[str] = self._footer.columns
        """Names of its columns; what is nested in them is a part of their values."""
        self.row_groups: list[int] = self._footer.row_groups
        """The number of rows in each."""
        self.rows: int = self._footer.first_rows[-1]

    def column_bytes(self, columns: Collection[str] | None) -> int:
        """Bytes of these columns as they are stored, which is what is read of them. None: of all."""
        names = self._footer.asked(columns)
        return sum(self._group_bytes(group, names) for group in range(len(self.row_groups)))

    def read(self, start: int, end: int, columns: Collection[str] | None) -> Iterator[Row]:
        """The rows with these numbers; `Row.line` is a row's number from 1. None: all columns."""
        for rows in self.read_many(start, end, columns):
            yield from rows.one_by_one()

    def read_many(self, start: int, end: int, columns: Collection[str] | None) -> Iterator[Rows]:
        """As `read`, many rows at a time."""
        names = self._footer.asked(columns)
        end = min(end, self.rows)
        if not names:
            return (_rows(at, [{} for _ in range(at, stop)]) for at, stop in _steps(start, end))
        return self._read(start, end, names)

    def _read(self, start: int, end: int, names: list[str]) -> Iterator[Rows]:
        file = self._file()
        parquet = open_parquet(file, self._where, self._footer.metadata)
        for groups in self._runs(start, end, names):
            self._prepare(file, groups, names)
            for group in groups:
                yield from self._of_group(parquet, group, start, end, names)

    def _file(self) -> ObjectFile:
        return ObjectFile(self._source, self._name, self._info)

    def _of_group(
        self, parquet: "pq.ParquetFile", group: int, start: int, end: int, names: list[str]
    ) -> Iterator[Rows]:
        at = self._footer.first_rows[group]
        for batch in self._batches(parquet, group, names):
            first, stop = max(start, at), min(end, at + len(batch))
            if first < stop:
                yield self._items(batch.slice(first - at, stop - first), first, names)
            at += len(batch)
            if at >= end:
                return

    def _batches(self, parquet: "pq.ParquetFile", group: int, names: list[str]) -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        try:
            yield from parquet.iter_batches(
                self._batch_rows(group, names), row_groups=[group], columns=names, use_threads=False
            )
        except (pa.ArrowException, OSError) as error:
            which = f"{self._where}: row group {group + 1} of {len(self.row_groups)}"
            raise unreadable(which, self._where, error) from error

    def _batch_rows(self, group: int, names: list[str]) -> int:
        size = self._footer.unpacked_bytes(group, names)
        fitting = _DECODED_BYTES * self.row_groups[group] // max(size, 1)
        return max(1, min(_ROWS_AT_ONCE, fitting, _CELLS_AT_ONCE // len(names)))

    def _items(self, batch: "pa.RecordBatch", first: int, names: list[str]) -> Rows:
        columns = [self._values(batch.column(name), name, first) for name in names]
        return _rows(first, [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)])

    def _values(self, array: "pa.Array", name: str, first: int) -> list[Any]:
        try:
            return values_of(array)
        except UnicodeDecodeError as error:
            row = next(number for number in range(len(array)) if not _is_utf8(array.slice(number, 1)))
            raise InputError(
                f"{self._where}: row {first + row + 1}: column {name} holds text that is not UTF-8; "
                "write it as UTF-8, or as binary"
            ) from error

    # What to read of the file, and how

    def _runs(self, start: int, end: int, names: list[str]) -> Iterator[list[int]]:
        """The row groups of these rows: small neighbours together, a large one alone."""
        run: list[int] = []
        size = 0
        for group, (rows, first) in enumerate(zip(self.row_groups, self._footer.first_rows, strict=False)):
            if rows and first < end and start < first + rows:
                more = self._group_bytes(group, names)
                if run and size + more > _LOAD_BYTES:
                    yield run
                    run, size = [], 0
                run.append(group)
                size += more
        if run:
            yield run

    def _group_bytes(self, group: int, names: list[str]) -> int:
        return _total(self._footer.ranges(group, names))

    def _prepare(self, file: ObjectFile, groups: list[int], names: list[str]) -> None:
        ranges = [found for group in groups for found in self._footer.ranges(group, names)]
        if _total(ranges) <= _LOAD_BYTES:
            file.load(ranges)
        else:
            share = _LOAD_BYTES // len(ranges)
            file.stream(ranges, min(max(share, _LEAST_PIECE_BYTES), _LARGEST_PIECE_BYTES))


def _rows(first: int, items: list[dict[str, Any]]) -> Rows:
    numbers = range(first, first + len(items) + 1)
    return Rows(lines=numbers[1:], starts=numbers[:-1], ends=numbers[1:], items=items)


def _steps(start: int, end: int) -> Iterator[tuple[int, int]]:
    return ((at, min(end, at + _ROWS_AT_ONCE)) for at in range(start, end, _ROWS_AT_ONCE))


def _total(ranges: list[Range]) -> int:
    return sum(each.end - each.start for each in ranges)


def _is_utf8(array: "pa.Array") -> bool:
    try:
        values_of(array)
    except UnicodeDecodeError:
        return False
    return True
