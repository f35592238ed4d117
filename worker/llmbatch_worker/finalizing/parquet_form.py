"""Results as Parquet: typed columns, in row groups of bounded size. Imported where Parquet is written.

The columns of all objects of a batch have the same types. Those of the answer come from the response schema, those of
the input from its values: should later ones not fit the types of earlier ones, the rest is only looked at, and then all
is written again with types that fit.
"""

import base64
import binascii
import io
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet

from llmbatch_contract.records import DeadLetter, Item, ResultRecord
from llmbatch_contract.spec import Api, LLMBatchSpec
from llmbatch_worker.finalizing.columns import Column, Source
from llmbatch_worker.finalizing.forms import NotSettledError
from llmbatch_worker.finalizing.parquet_types import (
    JSON,
    TIME,
    VECTORS,
    ColumnType,
    UnfitError,
    array_of,
    arrow_of,
    inferred,
    stays,
    type_of_schema,
    unified,
    vector_of,
)
from llmbatch_worker.finalizing.text_forms import getter_of
from llmbatch_worker.stores.protocol import Write

GROUP_BYTES = 4 << 20
"""Of records, as JSON, in a row group."""
GROUP_ROWS = 100_000
_CHUNK_BYTES, _CHUNK_ROWS = 256 << 10, 1000
_PAGE_BYTES, _PAGE_STEP_ROWS = 128 << 10, 64
"""Pages are held until they are packed, and their size is looked at after so many rows. Values that do not come again
are soon written without a dictionary."""

pa.set_memory_pool(pa.system_memory_pool())  # the other ones keep what is freed, some tens of MB
_OF_RECORD: dict[str, ColumnType] = {
    "id": pa.string(),
    "index": pa.int64(),
    "output": pa.string(),
    "finish_reason": pa.string(),
    "model": pa.string(),
    "attempts": pa.int64(),
    "latency_ms": pa.float64(),
    "completed_at": TIME,
    "trace_id": pa.string(),
}


class _TypedColumn:
    """One column: where its values come from, and their type as far as it is known."""

    def __init__(self, column: Column, of: ColumnType, to_value: Callable[[Any], Any] | None = None) -> None:
        self.name = column.name
        self.type = of
        self._get, self._to_value = getter_of(column), to_value

    def value(self, record: ResultRecord, item: Item | None) -> Any:
        """Of one result."""
        value = self._get(record, item)
        return value if self._to_value is None or value is None else self._to_value(value)

    def array(self, values: list[Any]) -> pa.Array:
        """Values as a column; a type that does not fit them is made one that does."""
        for of in self._ever_wider(values):
            try:
                made = array_of(values, of)
            except UnfitError:
                continue
            self.type = of
            return made
        raise AssertionError("every value can be written as JSON")

    def _ever_wider(self, values: list[Any]) -> Iterator[ColumnType]:
        yield self.type if self.type is not None else inferred(values)
        yield unified(self.type, inferred(values))
        yield JSON


class _VectorColumn(_TypedColumn):
    """Embeddings: all of one length, as is usual, or not."""

    def _ever_wider(self, values: list[Any]) -> Iterator[ColumnType]:
        yield self.type if self.type is not None else vector_of(values)
        yield VECTORS
        yield JSON


class ParquetForm:
    """Rows in Parquet; dead letters are lines of JSON."""

    def __init__(self, columns: list[Column], spec: LLMBatchSpec, *, needs_items: bool) -> None:
        self.needs_items = needs_items
        self._columns = [_typed(column, spec) for column in columns]
        self._types: list[ColumnType] | None = None
        """Of what this pass has written so far."""
        self._is_settled = True

    def begin(self, write: Write) -> "_ParquetObject":
        """An object of results."""
        return _ParquetObject(self, write)

    def error(self, letter: DeadLetter, line: bytes) -> bytes:
        """The dead letter as it is."""
        return line

    def settle(self) -> None:
        """All results of the batch were added. Raises NotSettledError when they have to be written again."""
        if not self._is_settled:
            self._is_settled, self._types = True, None
            raise NotSettledError

    def values(self, record: ResultRecord, item: Item | None) -> list[Any]:
        """A row."""
        return [column.value(record, item) for column in self._columns]

    def table(self, rows: list[list[Any]]) -> pa.Table | None:
        """Rows as they are written; None if they are only looked at."""
        columns: list[list[Any]] = [list(values) for values in zip(*rows, strict=True)] or [[] for _ in self._columns]
        arrays = [column.array(values) for column, values in zip(self._columns, columns, strict=True)]
        schema = pa.schema([(column.name, arrow_of(column.type)) for column in self._columns])
        types = [column.type for column in self._columns]
        self._is_settled = self._is_settled and all(map(stays, self._types or types, types))
        self._types = types
        return pa.Table.from_arrays(arrays, schema=schema) if self._is_settled else None


class _ParquetObject:
    """One object: rows become columns some at a time, and these wait until they make a group."""

    def __init__(self, form: ParquetForm, write: Write) -> None:
        self._form = form
        self._out = _Out(write)
        self._rows: list[list[Any]] = []
        self._rows_size = self._group_size = self._group_rows = 0
        self._group: list[pa.Table] = []
        self._writer: pa.parquet.ParquetWriter | None = None

    def add(self, record: ResultRecord, item: Item | None, line: bytes) -> None:
        """The next result."""
        self._rows.append(self._form.values(record, item))
        self._rows_size += len(line)
        if self._rows_size >= _CHUNK_BYTES or len(self._rows) >= _CHUNK_ROWS:
            self._to_columns()
            if self._group_size >= GROUP_BYTES or self._group_rows >= GROUP_ROWS:
                self._write_group()

    def end(self) -> None:
        """The last one was added; an object without results has its columns."""
        if self._rows or self._writer is None:
            self._to_columns()
        self._write_group()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _to_columns(self) -> None:
        table = self._form.table(self._rows)
        if table is not None:
            self._group.append(table)
            self._group_size += self._rows_size
            self._group_rows += len(self._rows)
        self._rows, self._rows_size = [], 0

    def _write_group(self) -> None:
        group, self._group = self._group, []
        self._group_size = self._group_rows = 0
        if not group:
            return
        if self._writer is None:
            self._writer = self._opened(group[0].schema)
        table = pa.concat_tables(group)
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))

    def _opened(self, schema: pa.Schema) -> pa.parquet.ParquetWriter:
        return pa.parquet.ParquetWriter(
            self._out, schema, compression="zstd",
            data_page_size=_PAGE_BYTES, dictionary_pagesize_limit=_PAGE_BYTES, write_batch_size=_PAGE_STEP_ROWS,
        )  # fmt: skip


class _Out(io.RawIOBase):
    """A file that is only written on."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        data = bytes(data)
        self._write(data)
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size


def _typed(column: Column, spec: LLMBatchSpec) -> _TypedColumn:
    request = spec.request
    match column.source:
        case Source.USAGE:
            return _TypedColumn(column, pa.int64())
        case Source.ANSWER:
            schema = request.response_schema if request is not None else None
            assert schema is not None
            return _TypedColumn(column, type_of_schema(schema["properties"][column.key], schema))
        case Source.INPUT:
            return _TypedColumn(column, None)
        case Source.RECORD:
            if column.key != "output":
                return _TypedColumn(column, _OF_RECORD[column.key])
            if request is not None and request.api is Api.EMBEDDINGS:
                return _VectorColumn(column, None, _vector)
            return _TypedColumn(column, pa.string(), _text)


def _text(output: Any) -> str:
    """An answer as text; one that was parsed, as JSON."""
    return output if isinstance(output, str) else orjson.dumps(output).decode()


def _vector(output: Any) -> Any:
    """An embedding as numbers, also where it came as `encoding_format: base64`."""
    if not isinstance(output, str):
        return output
    try:
        numbers = array("f", base64.b64decode(output, validate=True))
    except (binascii.Error, ValueError):
        return output
    return numbers.tolist()
