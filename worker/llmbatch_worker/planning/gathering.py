"""Gathers what a plan says of the input: one pass over the items (two for a sample), checked and counted on the way."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from typing import Any

from llmbatch_contract.errors import InputError
from llmbatch_contract.layout import UNPACKED_INPUT
from llmbatch_contract.plan import PlannedInput, PlannedObject, Shard
from llmbatch_contract.spec import InputFormat, LLMBatch
from llmbatch_contract.storage import without_query
from llmbatch_worker.asking import Asker
from llmbatch_worker.inputs.objects import uri_of
from llmbatch_worker.inputs.rows import id_of
from llmbatch_worker.inputs.source import Source, inline_facts
from llmbatch_worker.planning.batches import Batch, Items
from llmbatch_worker.planning.choices import InputTraits, is_read_in_place
from llmbatch_worker.planning.copying import Copy
from llmbatch_worker.planning.digests import Digests
from llmbatch_worker.planning.form import find_form
from llmbatch_worker.planning.groups import shards_of_groups
from llmbatch_worker.planning.ids import Place, SeenIds, check_suspects
from llmbatch_worker.planning.marks import Marks
from llmbatch_worker.planning.parquet_items import ParquetItems
from llmbatch_worker.planning.selection import Selection
from llmbatch_worker.planning.survey import Survey
from llmbatch_worker.planning.text_items import PackedAfterAllError, TextItems
from llmbatch_worker.stores.protocol import Store, Write

_TELL_EVERY_ITEMS = 20_000


class Gathering:
    """What was found out, in the order in which it can be."""

    def __init__(self, batch: LLMBatch, source: Source, size: Callable[[int], int]) -> None:
        """`size` says how many items a shard has, of so many. Raises InputError, InvalidError and StoreError."""
        self._spec, self._source, self._size = batch.spec.input, source, size
        self._form = find_form(self._spec, source, has_request=batch.spec.request is not None)
        self._selection = Selection(self._spec)
        self._asker = Asker(batch.spec, self._form.format)
        self._parquet: ParquetItems | None = None
        if self._form.format is InputFormat.PARQUET:
            used = self._asker.templates.fields | self._selection.fields
            self._parquet = ParquetItems(source, used, self._form.id_field, batch.spec.output)
        self._in_place = is_read_in_place(self._traits())
        self._read_items = 0
        self._start_over()

    def _traits(self) -> InputTraits:
        objects, parquet = self._source.objects, self._parquet
        rows = 0 if parquet is None else sum(map(sum, parquet.groups))
        return InputTraits(
            format=self._form.format,
            packing=self._form.packing,
            is_for_all=bool(objects) and self._spec.config_map is None,
            has_versions=all(found.info.etag is not None for found in objects),
            drops_items=self._selection.drops,
            objects=len(objects),
            size=sum(found.info.size for found in objects),
            largest_group=0 if parquet is None else max((max(g, default=0) for g in parquet.groups), default=0),
            shard_items=self._size(rows if self._selection.limit is None else min(rows, self._selection.limit)),
        )

    def _start_over(self) -> None:
        self._items: Items = self._parquet or TextItems(self._source, self._form, must_be_plain=self._in_place)
        self.survey, self.marks = Survey(self._asker), Marks()
        self._digests = Digests()
        self._copy: Copy | None = None
        self.of_items: int | None = None

    def read(self, store: Store | None, on_items: Callable[[int], None]) -> None:
        """Read all items; those that shards cannot read as they are go to the store. Raises InputError, StoreError."""
        try:
            self._read(store, on_items)
        except PackedAfterAllError:
            self._in_place = False
            self._start_over()
            self._read(store, on_items)

    def _read(self, store: Store | None, on_items: Callable[[int], None]) -> None:
        taken = None
        if self._selection.sample is not None:
            with closing(self._items.batches(self._digests.passing)) as batches:
                taken = self._selection.sampled(self._counted(batches, on_items))
            self._note_end()
        with ExitStack() as stack:
            batches = self._items.batches() if taken is not None else self._items.batches(self._digests.passing)
            chosen = self._selection.of(self._counted(stack.enter_context(closing(batches)), on_items), taken)
            if not self._in_place:
                self._copy = Copy(stack.enter_context(_writer(store)), numbered=self._selection.drops)
                chosen = self._copy.of(chosen)
            ids = stack.enter_context(SeenIds())
            last = self._learn(chosen, ids)
            if self._copy is not None:
                self._copy.flush()
            if taken is None:
                self._note_end()
            self.survey.check_fields(self._source.name, self._items.all_columns)
            if suspects := ids.suspects():
                check_suspects(self._places(taken), suspects, self._form.id_field or "")
            if self._in_place and self._selection.hit_limit and last is not None:
                self._end_bounds(last.object, last.rows.ends[-1])

    def _counted(self, batches: Iterable[Batch], on_items: Callable[[int], None]) -> Iterator[Batch]:
        self._read_items = 0
        for batch in batches:
            before, self._read_items = self._read_items, batch.numbers[-1] + 1
            if self._read_items // _TELL_EVERY_ITEMS > before // _TELL_EVERY_ITEMS:
                on_items(self._read_items)
            yield batch

    def _learn(self, batches: Iterable[Batch], ids: SeenIds) -> Batch | None:
        """Note all items; the last ones of them."""
        last = None
        for last in batches:
            if self._form.id_field is not None:
                ids.add(_ids_of(last, self._form.id_field))
            self.marks.add(last.object, last.rows.starts)
            self.survey.add(last)
        return last

    def _end_bounds(self, last: int, end: int) -> None:
        """Nothing after this offset of this object is an item of the batch."""
        bounds = self._items.bounds
        bounds[last] = (bounds[last][0], min(end, bounds[last][1]))
        bounds[last + 1 :] = [(0, 0)] * (len(bounds) - last - 1)

    def _note_end(self) -> None:
        self.of_items = None if self._selection.hit_limit else self._read_items

    def _places(self, taken: Sequence[int] | None) -> Iterator[tuple[Place, str]]:
        """Where all items stand, and their ids: read again."""
        for batch in self._selection.of(self._items.batches(), taken):
            ids = _ids_of(batch, self._form.id_field or "")
            yield from ((Place(batch.name, n), i) for n, i in zip(batch.rows.lines, ids, strict=True))

    def shards(self) -> list[Shard]:
        """The items in shards."""
        items = self.marks.items
        if self._copy is not None:
            return self.marks.shards(self._size(items), [(0, self._copy.size)])
        if self._parquet is not None:
            return shards_of_groups(self._parquet.groups, self._size(items), items)
        return self.marks.shards(self._size(items), self._items.bounds)

    @property
    def _given(self) -> str:
        return without_query(uri_of(self._spec) or "")

    def planned_input(self) -> PlannedInput:
        """The input as it was read."""
        objects = self._source.objects
        bounds = self._items.bounds if self._in_place else [(0, 0)] * len(objects)
        size, sha256 = self._size_and_digest()
        return PlannedInput(
            uri=self._source.name if self._spec.config_map is not None else self._given or self._source.name,
            objects=[
                PlannedObject(uri=o.uri, etag=o.info.etag, size=o.info.size, data_start=start, data_end=end)
                for o, (start, end) in zip(objects, bounds, strict=True)
            ],
            unpacked=not self._in_place,
            numbered=not self._in_place and self._selection.drops,
            size=size,
            sha256=sha256,
            format=self._form.format,
            packing=self._form.packing,
            delimiter=self._form.delimiter,
            fields=self._items.columns or list(self.survey.fields),
            columns=None if self._parquet is None else self._parquet.columns,
        )

    def _size_and_digest(self) -> tuple[int, str | None]:
        if self._spec.items is not None:
            return inline_facts(self._spec.items)
        objects = self._source.objects
        if not objects:
            return self._digests.size, self._digests.of_all([])
        return sum(o.info.size for o in objects), self._digests.of_all([o.uri for o in objects])


def _writer(store: Store | None) -> AbstractContextManager[Write]:
    return nullcontext(lambda _data: None) if store is None else store.writer(UNPACKED_INPUT)


def _ids_of(batch: Batch, id_field: str) -> Sequence[str]:
    """Their ids. Raises InputError naming file and line of an item without one."""
    values: list[Any] = [item.get(id_field) for item in batch.rows.items]
    if set(map(type, values)) == {str} and "" not in values:
        return values
    return [_id_of(batch, position, id_field) for position in range(len(values))]


def _id_of(batch: Batch, position: int, id_field: str) -> str:
    try:
        return id_of(batch.rows.items[position], id_field, 0)
    except InputError as error:
        raise InputError(f"{batch.name}:{batch.rows.lines[position]}: {error}") from error
