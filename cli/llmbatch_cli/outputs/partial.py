"""Records of the shards that are finished, while the rest of the batch still runs: from a store, or from a stream."""

import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import IO, Protocol

from llmbatch_cli.outputs.download import lines_of
from llmbatch_cli.outputs.objects import Which
from llmbatch_contract import layout
from llmbatch_contract.errors import BatchStateError, DownloadError, StoreMissingError
from llmbatch_contract.partial import Outline, OutlinedShard, PartialCounts, RecordPlaces, parts_of_done

_IN_MEMORY_BYTES = 8 << 20
"""A shard with more than that waits in a temporary file while it is put into order."""
_SHARDS_AHEAD = 8
"""Read at the same time: a store takes its time to answer."""

Gathered = tuple[IO[bytes], RecordPlaces]
"""The parts of a shard, laid end to end, and where the records stand in them."""


class WorkingObjects(Protocol):
    """A folder of working objects."""

    def read(self, name: str) -> bytes:
        """A whole object."""

    def names(self, prefix: str) -> list[str]:
        """Names of all objects below a prefix."""


def partial_blocks(working: WorkingObjects, which: Which) -> Iterator[bytes]:
    """Records in the order of the input, then the counts. Raises BatchStateError where there is no plan yet."""
    try:
        outline = Outline.of_plan(working.read(layout.PLAN))
    except StoreMissingError as error:
        raise BatchStateError(f"no shard is finished yet ({error})") from error
    names = set(working.names("shards/"))
    done = [shard for shard in outline.shards if layout.done(shard.number) in names]
    records = 0
    for file, places in _ahead(partial(_gathered, working, which), done):
        with file:
            for offset, length in places.in_order():
                file.seek(offset)
                records += 1
                yield file.read(length)
    items = sum(shard.items for shard in done)
    yield PartialCounts(len(done), len(outline.shards), items, outline.items, records).line()


def records_of(blocks: Iterator[bytes], what: str, on_counts: Callable[[PartialCounts], None]) -> Iterator[bytes]:
    """The records of such a stream; the counts go to `on_counts`. Raises DownloadError if they do not come."""
    last = b""
    for line in lines_of(blocks):
        if last:
            yield last
        last = line
    counts = PartialCounts.of_line(last)
    if counts is None:
        raise DownloadError(f"{what} came incomplete; try again")
    on_counts(counts)


def counts_in_words(counts: PartialCounts, which: Which) -> str:
    """How much of the batch that was."""
    share = int(100 * counts.items / counts.of_items) if counts.of_items else 100
    return (
        f"{counts.records:,} {which}; {counts.items:,} of {counts.of_items:,} items ({share} %), "
        f"{counts.shards:,} of {counts.of_shards:,} shards are finished"
    )


def _ahead(gather: Callable[[OutlinedShard], Gathered], shards: list[OutlinedShard]) -> Iterator[Gathered]:
    """Each shard, gathered; some are on their way while one is with the caller."""
    left = iter(shards)
    with ThreadPoolExecutor(_SHARDS_AHEAD) as threads:
        coming: deque[Future[Gathered]] = deque(threads.submit(gather, each) for each in islice(left, _SHARDS_AHEAD))
        try:
            while coming:
                yield coming.popleft().result()
                coming.extend(threads.submit(gather, each) for each in islice(left, 1))
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            for each in coming:
                each.add_done_callback(_close)


def _close(unwanted: Future[Gathered]) -> None:
    if not unwanted.cancelled() and unwanted.exception() is None:
        unwanted.result()[0].close()


def _gathered(working: WorkingObjects, which: Which, shard: OutlinedShard) -> Gathered:
    places = RecordPlaces(shard, errors=which == "errors")
    file = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115  # the caller closes it
    try:
        for attempt, number in parts_of_done(working.read(layout.done(shard.number))):
            part = working.read(layout.part(shard.number, attempt, number))
            places.add(part)
            file.write(part)
    except BaseException:
        file.close()
        raise
    return file, places
