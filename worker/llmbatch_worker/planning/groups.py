"""Cuts Parquet into shards: where its row groups end, if they are about as large as a shard. Pure.

A shard reads whole row groups, so one that begins in the middle of a group reads a part for nothing.
"""

from collections.abc import Iterable, Iterator, Sequence

from llmbatch_contract.plan import Shard
from llmbatch_worker.planning.marks import MOST_SHARDS

_MOST_TIMES = 4


def shards_of_groups(groups: Sequence[Sequence[int]], size: int, limit: int | None = None) -> list[Shard]:
    """Shards of about `size` rows over objects with row groups of so many rows each; of the first `limit` rows."""
    items = sum(map(sum, groups))
    items = items if limit is None else min(items, limit)
    shards = _cut(groups, size, items)
    while len(shards) > MOST_SHARDS:
        size = -(-size * len(shards) // MOST_SHARDS) + 1
        shards = _cut(groups, size, items)
    return shards


Piece = tuple[int, int, int]
"""Object, first row, row after the last."""


def _cut(groups: Sequence[Sequence[int]], size: int, items: int) -> list[Shard]:
    shards: list[Shard] = []
    run: list[Piece] = []
    first = rows = 0
    for piece in _first_rows(_pieces(groups, size), items):
        count = piece[2] - piece[1]
        together = rows + count
        if run and together > size and (rows >= size / 2 or together > _MOST_TIMES * size):
            shards.append(_shard(len(shards), first, rows, run))
            first, rows, run = first + rows, 0, []
        run.append(piece)
        rows += count
        if rows >= size:
            shards.append(_shard(len(shards), first, rows, run))
            first, rows, run = first + rows, 0, []
    if run:
        shards.append(_shard(len(shards), first, rows, run))
    return shards


def _pieces(groups: Sequence[Sequence[int]], size: int) -> Iterator[Piece]:
    """Row groups; those of more than four shards in pieces."""
    for number, rows_of in enumerate(groups):
        start = 0
        for rows in rows_of:
            step = rows if rows <= _MOST_TIMES * size else size
            for at in range(start, start + rows, max(1, step)):
                yield number, at, min(at + step, start + rows)
            start += rows


def _first_rows(pieces: Iterable[Piece], items: int) -> Iterator[Piece]:
    for number, start, end in pieces:
        if items <= 0:
            return
        yield number, start, min(end, start + items)
        items -= end - start


def _shard(number: int, first_item: int, rows: int, run: list[Piece]) -> Shard:
    (first_object, start, _), (last_object, _, end) = run[0], run[-1]
    return Shard(number, first_item, rows, start, end, first_object, last_object)
