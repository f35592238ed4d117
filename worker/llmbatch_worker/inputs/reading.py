"""Picks the reader for a planned input. Used by shards and by finalize."""

from collections.abc import Iterator

from llmbatch_contract.layout import UNPACKED_INPUT
from llmbatch_contract.plan import PlannedInput, Shard
from llmbatch_contract.spec import InputFormat
from llmbatch_worker.inputs.csv_rows import read_csv
from llmbatch_worker.inputs.jsonl import read_jsonl
from llmbatch_worker.inputs.openai_batch import ID_FIELD, read_openai
from llmbatch_worker.inputs.rows import Row, id_of
from llmbatch_worker.stores.local import LOCAL
from llmbatch_worker.stores.protocol import Readable, Store, Stores


class PlannedItems:
    """The items of a planned input, shard by shard."""

    def __init__(
        self, planned: PlannedInput, id_field: str | None, working_store: Store, stores: Stores = LOCAL
    ) -> None:
        self._planned = planned
        self._id_field = ID_FIELD if planned.format is InputFormat.OPENAI else id_field
        self._etag = None if planned.unpacked else planned.etag
        self._store: Readable
        self._store, self._object = (
            (working_store, UNPACKED_INPUT) if planned.unpacked else stores.open_input(planned.uri)
        )

    def rows(self, shard: Shard) -> Iterator[tuple[int, str, Row]]:
        """Number in the whole input, id and row of each item. Raises InputChangedError, StoreError."""
        blocks = self._store.blocks(self._object, shard.start, shard.end, self._etag)
        for number, row in enumerate(self._read(blocks, shard), shard.first_item):
            yield number, id_of(row.item, self._id_field, number), row

    def _read(self, blocks: Iterator[bytes], shard: Shard) -> Iterator[Row]:
        planned = self._planned
        match planned.format:
            case InputFormat.CSV:
                return read_csv(blocks, planned.uri, shard.start, columns=planned.fields, delimiter=planned.delimiter)
            case InputFormat.OPENAI:
                return read_openai(blocks, planned.uri, shard.start)
            case _:
                return read_jsonl(blocks, planned.uri, shard.start)
