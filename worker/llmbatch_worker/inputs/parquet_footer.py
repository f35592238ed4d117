"""What the footer of a Parquet file says: columns, row groups, and where the bytes of each column stand.

Says what is wrong with a file that is none. Reading rows is the business of `parquet_rows.py`.
"""

import difflib
import functools
import os
from collections import Counter
from collections.abc import Collection
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from llmbatch_contract.errors import InputError
from llmbatch_worker.inputs.parquet_file import ObjectFile, Range

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_MAGIC = b"PAR1"
_ENCRYPTED_MAGIC = b"PARE"
_FIRST_BYTES = 64 << 10
"""Of the end of a file; holds the footer of most."""
_SMALLEST_FILE_BYTES = 12
_BUFFER_BYTES = 64 << 10
_MOST_NAMED = 20


class Footer:
    """The footer of a file. Raises InputError, InputChangedError and StoreError."""

    def __init__(self, file: ObjectFile, where: str) -> None:
        self._where = where
        self.metadata = _checked(file, where)
        parquet = open_parquet(file, where, self.metadata)
        self.columns: list[str] = list(parquet.schema_arrow.names)
        if twice := next((name for name, times in Counter(self.columns).items() if times > 1), None):
            raise InputError(f"{where}: column {twice!r} stands twice; rename one")
        self._leaves = _leaves(parquet.schema_arrow)
        self.row_groups: list[int] = [self.group(number).num_rows for number in range(self.metadata.num_row_groups)]
        self.first_rows = [0, *accumulate(self.row_groups)]
        """Of each row group; and the number of all rows."""

    def group(self, number: int) -> "pq.RowGroupMetaData":
        """What is known of a row group."""
        return self.metadata.row_group(number)

    def ranges(self, group: int, names: list[str]) -> list[Range]:
        """Where the columns of a row group stand."""
        found = self.group(group)
        return [_range(found.column(leaf)) for name in names for leaf in self._leaves[name]]

    def unpacked_bytes(self, group: int, names: list[str]) -> int:
        """About what the columns of a row group take in memory."""
        found = self.group(group)
        return sum(found.column(leaf).total_uncompressed_size for name in names for leaf in self._leaves[name])

    def asked(self, columns: Collection[str] | None) -> list[str]:
        """These columns in the order of the file; None: all. Raises InputError for one that it does not have."""
        if columns is None:
            return self.columns
        if missing := [name for name in columns if name not in self._leaves]:
            raise InputError(f"{self._where}: {self._has_no(missing[0])}")
        wanted = frozenset(columns)
        return [name for name in self.columns if name in wanted]

    def _has_no(self, name: str) -> str:
        close = difflib.get_close_matches(name, self.columns, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        more = ", …" if len(self.columns) > _MOST_NAMED else ""
        return f"has no column {name!r}{hint} (it has {', '.join(self.columns[:_MOST_NAMED])}{more})"


def open_parquet(file: ObjectFile, where: str, metadata: "pq.FileMetaData | None") -> "pq.ParquetFile":
    """pyarrow's reader; with the metadata nothing is read yet. Raises InputError for a footer that makes no sense."""
    pyarrow, parquet = _pyarrow()
    try:
        return parquet.ParquetFile(
            pyarrow.PythonFile(file, mode="r"),
            metadata=metadata,
            buffer_size=_BUFFER_BYTES,
            pre_buffer=False,
            coerce_int96_timestamp_unit="us",  # as Spark means them; nanoseconds end in the year 2262
            page_checksum_verification=True,
        )
    except (pyarrow.ArrowException, OSError) as error:
        raise unreadable(f"{where}: the footer of the Parquet file", where, error) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: the name of a column is not UTF-8; is the file damaged? Write it again") from error


def unreadable(what: str, where: str, error: Exception) -> InputError:
    """What pyarrow says of a file, in a sentence."""
    reason = str(error).partition("\n")[0].rstrip(". ")[:200]
    if "encrypted" in reason:
        return _encrypted(where)
    return InputError(f"{what} cannot be read: {reason}; is the file damaged? Copy it again")


def _encrypted(where: str) -> InputError:
    return InputError(f"{where}: is encrypted; give a Parquet file that is not")


def _checked(file: ObjectFile, where: str) -> "pq.FileMetaData":
    if file.size < _SMALLEST_FILE_BYTES:
        raise InputError(f"{where}: is not a Parquet file: it has only {file.size} bytes")
    file.load([Range(max(0, file.size - _FIRST_BYTES), file.size)])
    file.seek(-len(_MAGIC), os.SEEK_END)
    end = file.read()
    if end == _ENCRYPTED_MAGIC:
        raise _encrypted(where)
    if end != _MAGIC:
        raise InputError(
            f"{where}: is not a Parquet file, or its end is missing (it ends with {end!r}, not {_MAGIC!r}); "
            "is the upload complete?"
        )
    return open_parquet(file, where, None).metadata


def _range(chunk: Any) -> Range:
    """Where a column of a row group stands (a dictionary, if there is one, before its data)."""
    starts = [chunk.data_page_offset, chunk.dictionary_page_offset or 0]
    start = min((found for found in starts if found > 0), default=0)  # of a damaged footer; the reader says so
    return Range(start, start + chunk.total_compressed_size)


def _leaves(schema: "pa.Schema") -> dict[str, list[int]]:
    """For each column, the numbers of those that the file stores for it: more than one if it is nested."""
    leaves, at = {}, 0
    for field in schema:
        count = _leaf_count(field.type)
        leaves[field.name] = list(range(at, at + count))
        at += count
    return leaves


def _leaf_count(type_: "pa.DataType") -> int:
    import pyarrow as pa

    if isinstance(type_, pa.BaseExtensionType):
        return _leaf_count(type_.storage_type)
    if not pa.types.is_nested(type_):
        return 1
    return sum(_leaf_count(type_.field(number).type) for number in range(type_.num_fields))


@functools.cache
def _pyarrow() -> tuple[Any, Any]:
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # gives back what was read; others keep some 30 MB
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError("Parquet files need pyarrow: pip install 'llmbatch[parquet]'") from error
    return pyarrow, pyarrow.parquet
