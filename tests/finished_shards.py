"""A batch's working objects with some shards finished, as bytes by name, and what is to be read of them.

work = finished_shards(shards=4, size=5, done=[0, 2])
work.objects                    {"plan.json": b"…", "shards/00000/done.json": b"…", …}
work.results, work.errors       the lines of finished shards, in the order of the input
"""

import json
import random
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from llmbatch_contract import layout

CHANCE = 7
"""Every item with a number that this divides has a dead letter."""


@dataclass
class Work:
    """What was made."""

    objects: dict[str, bytes] = field(default_factory=dict)
    results: list[bytes] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)


def line_of(index: int, text: str = "ü") -> bytes:
    """The record of an item, as an engine writes it."""
    row: dict[str, Any] = {"id": f"item-{index}", "index": index}
    if index % CHANCE:
        row |= {"output": f"{text} {index}"}
    else:
        row |= {"item": {"text": text}, "error": {"category": "timeout" if index % 2 else "refusal"}, "trace_id": "t"}
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def finished_shards(shards: int, size: int, done: Collection[int], *, text: str = "ü", seed: int = 0) -> Work:
    """Shards of `size` items. Each has parts, in any order and with a stale record; those of `done` are finished."""
    work, chance = Work(), random.Random(seed)
    rows = [(n, n * size, size, 0, 0, 0, 0) for n in range(shards)]
    work.objects[layout.PLAN] = json.dumps({"uid": "u", "items": shards * size, "shards": rows}).encode()
    for number, first, *_ in rows:
        _add_shard(work, number, range(first, first + size), number in done, text, chance)
    return work


def _add_shard(work: Work, number: int, indexes: range, is_done: bool, text: str, chance: random.Random) -> None:
    mixed = list(indexes)
    chance.shuffle(mixed)
    middle = len(mixed) // 2
    stale = line_of(mixed[0], "an answer that came too late")
    work.objects[layout.part(number, 1, 0)] = b"".join(line_of(i, text) for i in mixed[:middle])
    work.objects[layout.part(number, 2, 0)] = stale * bool(middle) + b"".join(line_of(i, text) for i in mixed[middle:])
    work.objects[layout.part(number, 3, 0)] = stale
    work.objects[layout.claim(number, 1)] = b"{}"
    if is_done:
        work.objects[layout.done(number)] = json.dumps({"progress": {}, "parts": [[1, 0], [2, 0]]}).encode()
        for index in indexes:
            (work.results if index % CHANCE else work.errors).append(line_of(index, text))
