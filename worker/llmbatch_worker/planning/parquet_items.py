"""The items of an input of Parquet, of one object or of several: only the columns that are needed."""

from collections.abc import Collection, Generator
from typing import TYPE_CHECKING

from llmbatch_contract.errors import InputError
from llmbatch_contract.output import Output
from llmbatch_worker.inputs.ahead import ahead
from llmbatch_worker.inputs.downloaded import Downloaded
from llmbatch_worker.inputs.source import Pass, Source
from llmbatch_worker.planning.batches import Batch
from llmbatch_worker.planning.choices import columns_to_read
from llmbatch_worker.planning.survey import some_of
from llmbatch_worker.planning.text_items import difference
from llmbatch_worker.stores.protocol import Readable

if TYPE_CHECKING:
    from llmbatch_worker.inputs.parquet_rows import ParquetObject


class ParquetItems:
    """Items: the rows of all objects. Reads their footers when it is made."""

    def __init__(self, source: Source, used: Collection[str], id_field: str | None, output: Output) -> None:
        """`used` are the fields that are asked for, besides the id. Raises InputError where objects differ."""
        self._source = source
        self.groups: list[list[int]] = []
        """Of each object, the rows of its row groups."""
        self.columns: list[str] = []
        self.all_columns: list[str] = []
        """Also those that are not read."""
        self._first = ""
        self._downloaded: dict[int, Downloaded] = {}
        numbers = range(len(source.objects))
        for number, (name, columns, groups) in enumerate(ahead(numbers, self._footer, lambda _number: 1 << 18)):
            if source.objects[number].info.size:
                self._check(name, columns, used, id_field, output)
            self.groups.append(groups)
        self.bounds = [(0, sum(rows)) for rows in self.groups]

    def _footer(self, number: int) -> tuple[str, list[str], list[int]]:
        if not self._source.objects[number].info.size:
            return "", [], []
        name, opened = self._open(number)
        return name, opened.columns, opened.row_groups

    def _open(self, number: int) -> "tuple[str, ParquetObject]":
        from llmbatch_worker.inputs.parquet_rows import ParquetObject

        opened = self._source.open(number)
        store: Readable = opened.store
        if opened.info.etag is None:
            store = self._downloaded[number] = self._downloaded.get(number) or Downloaded(opened)
        return opened.name, ParquetObject(store, opened.key, opened.info)

    def _check(
        self, name: str, columns: list[str], used: Collection[str], id_field: str | None, output: Output
    ) -> None:
        needed = columns_to_read(columns, used if id_field is None else {*used, id_field}, output)
        if not self._first:
            if id_field is not None and id_field not in columns:
                raise InputError(f"{name}: has no column {id_field!r}, which is the idField; it has {some_of(columns)}")
            self._first, self.all_columns, self.columns = name, columns, needed
        elif set(needed) != set(self.columns):
            raise InputError(
                f"{name}: {difference(needed, self.columns)} in {self._first}; all files must have the columns that "
                "templates, where and the output need"
            )

    def batches(self, on_blocks: Pass = lambda _number, blocks: blocks) -> Generator[Batch]:
        """All of them, in order; no digest can be had of their bytes, of which only a part is read."""
        first = 0
        for number, (start, end) in enumerate(self.bounds):
            if start == end:
                continue
            name, opened = self._open(number)
            for rows in opened.read_many(start, end, self.columns):
                count = len(rows.items)
                yield Batch(number, name, range(first, first + count), rows)
                first += count
