"""A planned batch in a working store, and parts written by hand, for tests of the shard log and of finalize.

made = sharded(tmp_path, items=7, shard_size=3)
made.write(0, [0, 1, 2])          records of items 0 to 2, as the first attempt on shard 0 would leave them
made.finalize()                   the summary; outputs are in made.output
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from builders import Document, batch
from llmbatch_contract import layout
from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan, Shard
from llmbatch_contract.records import Record
from llmbatch_contract.reports import StopReason
from llmbatch_worker.finalizing.finalizer import finalize
from llmbatch_worker.planning.planner import make_plan
from llmbatch_worker.shardlog import Done, ShardLog, open_shard
from llmbatch_worker.stores.local import LocalStore

CREATED_AT = "2026-01-01T00:00:00.000Z"
NOW = "2026-01-01T00:01:00.000Z"

Change = Callable[[Document], Document]


def result(index: int, **fields: Any) -> Document:
    """The record of an answered item."""
    return {
        "id": f"id-{index}", "index": index, "output": f"answer {index}", "finish_reason": "stop", "model": "m",
        "usage": {"input_tokens": 2, "output_tokens": 1, "total_tokens": 3}, "attempts": 1, "latency_ms": 5.0, **fields,
    }  # fmt: skip


def letter(index: int, category: str = "refusal", **fields: Any) -> Document:
    """The record of a failed item."""
    error = {"category": category, "message": f"no, {index}", "status": 200, "code": None}
    return {
        "id": f"id-{index}", "index": index, "item": {"id": f"id-{index}"}, "error": error, "attempts": 2,
        "first_attempt_at": CREATED_AT, "failed_at": NOW, **fields,
    }  # fmt: skip


def as_record(document: Document) -> Record:
    """What a test wrote, as the shard log takes it."""
    return document  # type: ignore[return-value]


@dataclass(frozen=True)
class Sharded:
    """A plan with its store and its outputs."""

    job: Job
    plan: Plan
    store: LocalStore
    output: Path

    def shard(self, number: int) -> Shard:
        return self.plan.shards[number]

    def open(self, number: int, worker: str = "w") -> ShardLog | Done:
        """Claim a shard."""
        return open_shard(self.store, self.shard(number), worker, NOW)

    def claimed(self, number: int, worker: str = "w") -> ShardLog:
        """Claim a shard that is not done."""
        log = self.open(number, worker)
        assert isinstance(log, ShardLog)
        return log

    def write(self, number: int, records: Iterable[int | Document], *, done: bool = True) -> None:
        """Work on a shard as an engine would; a number stands for the result of that item."""
        log = self.claimed(number)
        put(log, *(result(r) if isinstance(r, int) else r for r in records))
        if done:
            log.finish(log.progress)

    def write_all(self) -> None:
        """A result for every item."""
        for shard in self.plan.shards:
            self.write(shard.number, range(shard.first_item, shard.first_item + shard.items))

    def tamper(self, number: int, change: Callable[[list[Document]], list[Document]]) -> None:
        """Change the first part of a shard behind everybody's back."""
        name = layout.part(number, 1, 0)
        records = [orjson.loads(line) for line in self.store.read(name).splitlines()]
        self.store.put(name, b"".join(orjson.dumps(r) + b"\n" for r in change(records)))

    def finalize(self, stop: StopReason | None = None) -> Document:
        return finalize(self.job, self.plan, stop=stop, now=NOW)

    def lines(self, name: str) -> list[Document]:
        """The records of an output."""
        return [orjson.loads(line) for line in (self.output / name).read_bytes().splitlines()]


def put(log: ShardLog, *records: Document) -> None:
    """Add records and write them as one part."""
    for record in records:
        log.add(as_record(record))
    taken = log.take()
    assert taken is not None
    log.write_part(taken)


def sharded(folder: Path, items: int = 7, shard_size: int = 3, **fields: Any) -> Sharded:
    """A planned batch of items `id-0`, `id-1`, …; keywords as for `builders.batch`."""
    source = folder / "in.jsonl"
    source.write_text("".join(f'{{"id": "id-{n}", "text": "text {n}"}}\n' for n in range(items)))
    store, output = LocalStore((folder / "state").as_uri()), folder / "out"
    defaults: Document = {"prompt": "{{ text }}", "shard_size": shard_size}
    wanted = batch(input={"uri": source.as_uri(), "idField": "id"}, **defaults | fields)
    plan = make_plan(wanted, store, uid="u", created_at=CREATED_AT).plan
    return Sharded(Job(batch=wanted, store_uri=store.uri, output_uri=output.as_uri()), plan, store, output)
