"""Items as a Parquet file. Apart from workload.py, so that what is measured does not load pyarrow by chance."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.workload import items

_GROUP_ITEMS = 50_000


def write_parquet(path: Path, count: int, item_bytes: int, *, unused_bytes: int = 0) -> Path:
    """The same items as other files have, not packed; `unused_bytes` of each are in a column that nobody asks for."""
    fields = [("id", pa.string()), ("customer", pa.int64()), ("text", pa.string())]
    columns = pa.schema([*fields, ("notes", pa.string())] if unused_bytes else fields)
    notes = {"notes": "n" * unused_bytes} if unused_bytes else {}
    rows = items(count, item_bytes - unused_bytes)
    with pq.ParquetWriter(path, columns, compression="none", use_dictionary=False) as writer:
        for first in range(0, count, _GROUP_ITEMS):
            some = [next(rows) | notes for _ in range(min(_GROUP_ITEMS, count - first))]
            writer.write_table(pa.Table.from_pylist(some, columns))
    return path
