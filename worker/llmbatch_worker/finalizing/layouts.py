"""In how many objects results are written: all in one, or one for each shard and a manifest.

Every object appears whole or not at all. The same batch gives the same bytes again, so a finalize that was killed is
simply done anew.
"""

import contextlib
import hashlib
import io
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol, Self

import orjson

from llmbatch_contract.errors import InvariantError, StoreError
from llmbatch_contract.plan import Plan, Shard
from llmbatch_contract.records import Item, ResultRecord
from llmbatch_contract.spec import Layout, LLMBatchSpec, Packing
from llmbatch_worker.finalizing.forms import OutputForm, ResultObject
from llmbatch_worker.finalizing.names import MANIFEST_NAME, RESULTS_FOLDER, results_name, shard_name
from llmbatch_worker.finalizing.owning import is_unfinished
from llmbatch_worker.finalizing.packers import packer_of
from llmbatch_worker.finalizing.summary import Written
from llmbatch_worker.stores.protocol import Store, Write

AUTO_MERGED_ITEMS = 1_000_000
_AT_ONCE = 8
_IN_FLIGHT_BYTES = 24 << 20
_IN_MEMORY_BYTES = 4 << 20
"""A larger object is written as it comes."""


def is_sharded(spec: LLMBatchSpec, items: int) -> bool:
    """Whether results are written as an object for each shard."""
    match spec.output.layout:
        case Layout.MERGED:
            return False
        case Layout.SHARDED:
            return True
        case Layout.AUTO:
            has_place = spec.output.uri is not None or spec.output.pvc is not None
            return has_place and items > AUTO_MERGED_ITEMS


class PackedObject:
    """Packs, counts and hashes what is written to one object."""

    def __init__(self, write_out: Write, packing: Packing) -> None:
        self.records = 0
        self.size = 0
        """Bytes, packed."""
        self._write_out, self._packing = write_out, packing
        self._packer = packer_of(packing)
        self._sha256 = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """The next bytes, not yet packed."""
        self._out(self._packer.compress(data))

    def end(self) -> None:
        """The last ones were written."""
        self._out(self._packer.flush())

    def _out(self, data: bytes) -> None:
        if data:
            self._write_out(data)
            self._sha256.update(data)
            self.size += len(data)

    def written(self, name: str, uri: str) -> Written:
        """What the summary says of it."""
        return Written(uri, self.records, self.size, self._sha256.hexdigest(), name, self._packing)


class Results(Protocol):
    """Where results go, one after another."""

    def add(self, record: ResultRecord, item: Item | None, line: bytes) -> None:
        """The next result, of the shard that was begun last."""

    def begin_shard(self, shard: Shard) -> None:
        """What comes now is of this shard."""

    def end(self) -> Written:
        """The last result was added."""


def open_results(
    spec: LLMBatchSpec, plan: Plan, output: Store, form: OutputForm
) -> AbstractContextManager["MergedResults | ShardedResults"]:
    """The results of a batch; with an error in the block, nothing appears that was not there before."""
    if is_sharded(spec, plan.items):
        return ShardedResults(spec, plan, output, form)
    return _merged(spec, output, form)


@contextmanager
def _merged(spec: LLMBatchSpec, output: Store, form: OutputForm) -> Iterator["MergedResults"]:
    name = results_name(spec.output.format, spec.output.compression)
    with output.writer(name) as write:
        yield MergedResults(PackedObject(write, spec.output.compression), form, name, output.where(name))


class MergedResults:
    """All in one object, which appears when the block of `open_results` ends."""

    def __init__(self, packed: PackedObject, form: OutputForm, name: str, uri: str) -> None:
        self._packed, self._name, self._uri = packed, name, uri
        self._form, self._object = form, form.begin(packed.write)
        self._add = self._object.add

    def add(self, record: ResultRecord, item: Item | None, line: bytes) -> None:
        """The next result."""
        self._packed.records += 1
        self._add(record, item, line)

    def begin_shard(self, shard: Shard) -> None:
        """Shards follow each other without a seam."""

    def end(self) -> Written:
        """The last result was added."""
        self._object.end()
        self._form.settle()
        self._packed.end()
        return self._packed.written(self._name, self._uri)


class ShardedResults:
    """An object for each shard that has results, and a manifest of them, written last."""

    def __init__(self, spec: LLMBatchSpec, plan: Plan, output: Store, form: OutputForm) -> None:
        self._uid, self._output, self._form = plan.uid, output, form
        self._format, self._packing = spec.output.format, spec.output.compression
        self._shard: Shard | None = None
        self._current: _ShardObject | None = None
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="results")
        self._sending: deque[tuple[Future[None], int]] = deque()
        self._rows: list[tuple[Shard, Written]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Where results do not add up, remove what was written: some of them are not the results. After other errors
        they are written again, perhaps by a process that is at it already and counts on what is there."""
        self._pool.shutdown(cancel_futures=kind is not None)
        if kind is None:
            return
        if self._current is not None:
            self._current.give_up()
        if issubclass(kind, InvariantError):
            with contextlib.suppress(StoreError):  # the error that led here counts
                if is_unfinished(self._output, self._uid):
                    self._output.remove([written.name for _shard, written in self._rows])

    def begin_shard(self, shard: Shard) -> None:
        """What comes now is of this shard."""
        self._end_shard()
        self._shard = shard

    def add(self, record: ResultRecord, item: Item | None, line: bytes) -> None:
        """The next result, of the shard that was begun last."""
        if self._current is None:
            self._current = self._begun()
        self._current.add(record, item, line)

    def _begun(self) -> "_ShardObject":
        assert self._shard is not None
        name = shard_name(self._format, self._packing, self._shard.number)
        return _ShardObject(self._output, name, self._form, self._packing)

    def _end_shard(self) -> None:
        current, self._current = self._current, None
        if current is None:
            return
        assert self._shard is not None
        data = current.end()
        self._rows.append((self._shard, current.packed.written(current.name, self._output.where(current.name))))
        if data is not None:
            self._send(current.name, data)

    def _send(self, name: str, data: bytes) -> None:
        """Write an object while others are made, but hold few of them."""
        self._sending.append((self._pool.submit(self._output.put, name, data), len(data)))
        while self._sending and (
            len(self._sending) > 2 * _AT_ONCE or sum(size for _f, size in self._sending) > _IN_FLIGHT_BYTES
        ):
            self._sending.popleft()[0].result()

    def end(self) -> Written:
        """The last result was added: write the manifest. Raises NotSettledError."""
        if not self._rows and self._current is None:  # so that who reads the folder finds columns, if no rows
            self._current = self._begun()
        self._end_shard()
        while self._sending:
            self._sending.popleft()[0].result()
        self._form.settle()
        self._output.put(MANIFEST_NAME, self._manifest())
        rows = [written for _shard, written in self._rows]
        return Written(
            self._output.where(RESULTS_FOLDER.rstrip("/")) + "/",
            sum(w.records for w in rows),
            sum(w.size for w in rows),
            _digest_of_digests(rows),
            RESULTS_FOLDER,
            self._packing,
            objects=len(rows),
        )

    def _manifest(self) -> bytes:
        rows = [
            {
                "name": _in_folder(written),
                "records": written.records,
                "bytes": written.size,
                "sha256": written.sha256,
                "first_item": shard.first_item,
                "items": shard.items,
            }
            for shard, written in self._rows
        ]
        return orjson.dumps(rows, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _in_folder(written: Written) -> str:
    return written.name.removeprefix(RESULTS_FOLDER)


def _digest_of_digests(rows: list[Written]) -> str:
    """Digest of what `sha256sum` prints for the objects in their folder."""
    digest = hashlib.sha256()
    for written in rows:
        digest.update(f"{written.sha256}  {_in_folder(written)}\n".encode())
    return digest.hexdigest()


class _ShardObject:
    """The results of one shard: in memory, or where they are large on their way to the store."""

    def __init__(self, output: Store, name: str, form: OutputForm, packing: Packing) -> None:
        self.name = name
        self.packed = PackedObject(self._write, packing)
        self._output = output
        self._buffer = io.BytesIO()
        self._stack = ExitStack()
        self._write_out: Write | None = None
        self._object: ResultObject | None = form.begin(self.packed.write)

    def add(self, record: ResultRecord, item: Item | None, line: bytes) -> None:
        self.packed.records += 1
        if self._object is not None:
            self._object.add(record, item, line)

    def _write(self, data: bytes) -> None:
        if self._write_out is not None:
            self._write_out(data)
            return
        self._buffer.write(data)
        if self._buffer.tell() > _IN_MEMORY_BYTES:
            self._write_out = self._stack.enter_context(self._output.writer(self.name))
            self._write_out(self._buffer.getvalue())
            self._buffer = io.BytesIO()

    def end(self) -> bytes | None:
        """The whole object; None if it is in the store already. It is not needed any more."""
        if self._object is not None:
            self._object.end()
        self.packed.end()
        data = self._buffer.getvalue()
        self._object, self._buffer = None, io.BytesIO()  # what refers to itself is not freed at once
        if self._write_out is None:
            return data
        self._stack.close()
        return None

    def give_up(self) -> None:
        """Let nothing of it appear."""
        error = RuntimeError("the results are not to be written")
        self._stack.__exit__(type(error), error, None)
