"""`undelivered.jsonl`: the results that a receiver did not take, with the reason, in the order of the input."""

from collections.abc import Callable, Iterable, Iterator

import orjson

from llmbatch_worker.delivering.marks import GivenUp
from llmbatch_worker.delivering.requests import Line
from llmbatch_worker.stores.protocol import Store

Between = Callable[[int, int], Iterator[Line]]
"""The results of the items from a number up to, not including, another, in order."""


def write_undelivered(
    output: Store, name: str, given_up: Iterable[GivenUp], between: Between, on_wait: Callable[[], None]
) -> int:
    """Write them; returns how many there are."""
    count, next_item = 0, 0
    with output.writer(name) as write:
        for lost in given_up:
            for line in between(max(lost.first, next_item), lost.last + 1):
                write(_row(line, lost))
                count += 1
                on_wait()
            next_item = max(next_item, lost.last + 1)
    return count


def _row(line: Line, lost: GivenUp) -> bytes:
    error = {"message": lost.message, "status": lost.status}
    row = {"id": line.id, "index": line.index, "error": error, "request": lost.request}
    return orjson.dumps({**row, "record": orjson.Fragment(line.data)}, option=orjson.OPT_APPEND_NEWLINE)
