"""Plans a batch: reads the input once, checks every item, and writes `plan.json`. Called by the command line and pods.

Gathers with one pass over the bytes; what it decides with is in marks, ids and survey.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from llmbatch_contract import __version__
from llmbatch_contract.errors import ClaimLostError, InputError
from llmbatch_contract.layout import PLAN, UNPACKED_INPUT
from llmbatch_contract.plan import Plan, PlannedInput, asked_of
from llmbatch_contract.spec import InputFormat, LLMBatch
from llmbatch_contract.trace import TRACEPARENT, BatchTrace, trace_of
from llmbatch_worker.asking import Asker, Question
from llmbatch_worker.inputs.rows import Row, id_of
from llmbatch_worker.inputs.source import Source, open_source
from llmbatch_worker.planning.ids import SeenIds, check_suspects
from llmbatch_worker.planning.marks import Marks, ShardSize, shard_size
from llmbatch_worker.planning.survey import Survey
from llmbatch_worker.planning.table import Table, open_table
from llmbatch_worker.stores.local import LOCAL
from llmbatch_worker.stores.protocol import Store, Stores, Write

_TELL_EVERY_ITEMS = 20_000


@dataclass(frozen=True)
class Planned:
    """A plan, and what a person would want to know of it."""

    plan: Plan
    first_question: Question | None
    misfits: int
    """Items that will be dead letters because a template does not fit them."""
    first_misfit: str | None


def make_plan(
    batch: LLMBatch,
    store: Store | None,
    *,
    uid: str,
    created_at: str,
    trace: BatchTrace | None = None,
    stores: Stores = LOCAL,
    workers: int = 1,
    size: ShardSize = shard_size,
    on_items: Callable[[int], None] = lambda _items: None,
) -> Planned:
    """Plan a batch whose URIs are absolute, and leave the plan in `store` (None: look only).

    `trace` is the one that the batch is, if somebody has fixed it already.
    `on_items` is told now and then how many items have been read. Raises InputError, InvalidError and StoreError.
    """
    source = open_source(batch.spec.input, stores)
    with ExitStack() as stack:
        digest = _Digest(source.blocks)
        blocks: Iterable[bytes] = digest
        if source.unpacked and store is not None:
            copy = stack.enter_context(store.writer(UNPACKED_INPUT))
            blocks = _copied(digest, copy)
        table = open_table(batch.spec.input, source.name, blocks, has_request=batch.spec.request is not None)
        survey = Survey(Asker(batch.spec, table.format), fields=dict.fromkeys(table.columns))
        marks, ids = _read(table, survey, source.name, on_items)
        survey.check_fields(source.name)
    if table.id_field is not None and (suspects := ids.suspects()):
        _look_again(batch, stores, table.id_field, suspects)
    shards = marks.shards(size(batch.spec.shard_size, marks.items, workers), digest.size)
    plan = Plan(
        uid=uid,
        trace=trace or trace_of(uid, batch.metadata.annotations.get(TRACEPARENT)),
        created_at=created_at,
        version=__version__,
        asked=asked_of(batch),
        input=_planned_input(batch, source, table, survey, digest),
        items=marks.items,
        shards=shards,
        input_tokens_estimate=survey.input_tokens(digest.size),
    )
    if store is not None and not store.create(PLAN, plan.dump_json()):
        raise ClaimLostError(f"another run has just planned into {store.where(PLAN)}; run again to continue it")
    return Planned(plan, survey.first_question, survey.misfits, survey.first_misfit)


def _read(table: Table, survey: Survey, name: str, on_items: Callable[[int], None]) -> tuple[Marks, SeenIds]:
    marks, ids, id_field = Marks(), SeenIds(), table.id_field
    for number, row in enumerate(table.rows):
        if id_field is not None:
            ids.add(_id_of(row, id_field, name))
        marks.add(row.start)
        survey.add(row.item, row.end - row.start, name, row.line)
        if number % _TELL_EVERY_ITEMS == _TELL_EVERY_ITEMS - 1:
            on_items(number + 1)
    return marks, ids


def _id_of(row: Row, id_field: str, name: str) -> str:
    try:
        return id_of(row.item, id_field, 0)
    except InputError as error:
        raise InputError(f"{name}:{row.line}: {error}") from error


def _look_again(batch: LLMBatch, stores: Stores, id_field: str, suspects: frozenset[int]) -> None:
    """Read the input a second time to compare the ids whose hashes are equal."""
    source = open_source(batch.spec.input, stores)
    rows = open_table(batch.spec.input, source.name, source.blocks).rows
    check_suspects(((row.line, id_of(row.item, id_field, 0)) for row in rows), suspects, source.name, id_field)


def _planned_input(batch: LLMBatch, source: Source, table: Table, survey: Survey, digest: "_Digest") -> PlannedInput:
    return PlannedInput(
        uri=batch.spec.input.uri or source.name,
        unpacked=source.unpacked,
        etag=source.etag,
        size=digest.size,
        sha256=digest.hexdigest(),
        format=InputFormat(table.format),
        delimiter=table.delimiter,
        fields=list(survey.fields),
    )


class _Digest:
    """Counts and hashes the blocks that pass."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = blocks
        self._sha256 = hashlib.sha256()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            self._sha256.update(block)
            self.size += len(block)
            yield block

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()


def _copied(blocks: Iterable[bytes], write: Write) -> Iterator[bytes]:
    for block in blocks:
        write(block)
        yield block
