"""A batch whose shards are done, made without a planner, for tests of what finalize writes.

made = finished(tmp_path, items=7, shard_size=3, output={"format": "csv"})
made.fill(lambda number: result(number))     records of all items, as workers would leave them
made.finalize()                              the summary; outputs are in made.output
finished(tmp_path, bucket=moto_s3)           the same with working objects and outputs in a bucket
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from builders import Document, batch
from llmbatch_contract import layout
from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan, PlannedInput, PlannedObject, Shard, asked_of
from llmbatch_contract.progress import ShardProgress
from llmbatch_contract.reports import StopReason
from llmbatch_contract.spec import InputFormat, LLMBatch
from llmbatch_contract.trace import trace_of
from llmbatch_worker.finalizing.finalizer import finalize
from llmbatch_worker.shardlog import Claim, Done
from llmbatch_worker.stores.local import LOCAL, LocalStore
from llmbatch_worker.stores.protocol import Store, Stores
from s3_servers import Bucket
from sharded import CREATED_AT, NOW, result

ANSWER = {
    "type": "object",
    "required": ["category", "stars"],
    "properties": {"category": {"enum": ["billing", "bug"]}, "stars": {"type": "integer"}},
}


@dataclass(frozen=True)
class Finished:
    """A job and its plan, with the stores."""

    job: Job
    plan: Plan
    store: Store
    output: Path
    """Of outputs in a folder."""
    stores: Stores

    @property
    def output_store(self) -> Store:
        return self.stores.open(self.job.output_uri)

    def fill(self, record: Callable[[int], Document] = result, *, parts: int = 1) -> None:
        """Write a record for every item."""
        for shard in self.plan.shards:
            fill_shard(self.store, shard, record, parts)

    def finalize(self, stop: StopReason | None = None, now: str = NOW, **more: Any) -> Document:
        return finalize(self.job, self.plan, stop=stop, now=now, stores=self.stores, **more)

    def names(self) -> list[str]:
        """All objects beside the working ones."""
        return [n for n in self.output_store.names("") if not n.startswith("_llmbatch/u/")]

    def objects(self) -> dict[str, bytes]:
        """All of them, with what is in them."""
        return {name: self.output_store.read(name) for name in self.names()}

    def as_batch(self, uid: str, name: str = "other", **output: Any) -> "Finished":
        """Another batch with the same records, and output settings of its own, that writes to the same place."""
        document = self.job.batch.dump()
        document["metadata"]["name"] = name
        document["spec"]["output"] |= output
        job = self.job.model_copy(update={"batch": LLMBatch.model_validate(document)})
        return replace(self, job=job, plan=self.plan.model_copy(update={"uid": uid}))


def finished(
    folder: Path,
    items: int = 7,
    shard_size: int = 3,
    *,
    item: Callable[[int], Document] = lambda n: {"id": f"id-{n}", "text": f"text {n}"},
    fields: list[str] | None = None,
    bucket: Bucket | None = None,
    request: Document | None = None,
    **spec: Any,
) -> Finished:
    """A planned batch of items; `request` is added to a prompt, other keywords are as for `builders.batch`."""
    source, output = folder / "in.jsonl", folder / "out"
    output_uri = output.as_uri() if bucket is None else bucket.uri("out")
    stores = LOCAL if bucket is None else bucket.stores()
    store_uri = (folder / "state").as_uri() if bucket is None else layout.work_folder(output_uri, "u")
    there = {} if bucket is None else {"store": bucket.settings}
    spec["output"] = {"uri": output_uri, **there, **spec.get("output", {})}
    store = stores.open(store_uri)
    asked = {"prompt": "{{ text }}", **(request or {})}
    wanted = batch(**{"input": {"uri": source.as_uri(), "idField": "id"}, "request": asked, **spec})
    lines = [orjson.dumps(item(n)) + b"\n" for n in range(items)]
    source.write_bytes(b"".join(lines))
    info = LocalStore(folder.as_uri()).info(source.name)
    planned = PlannedInput(
        uri=source.as_uri(),
        objects=[PlannedObject(uri=source.as_uri(), etag=info.etag, size=info.size, data_end=info.size)],
        unpacked=False,
        size=info.size,
        sha256="0" * 64,
        format=InputFormat.JSONL,
        fields=list(item(0)) if fields is None else fields,
    )
    ends = [0]
    for line in lines:
        ends.append(ends[-1] + len(line))
    shards = [
        Shard(n, first, min(shard_size, items - first), ends[first], ends[min(first + shard_size, items)])
        for n, first in enumerate(range(0, items, shard_size))
    ]
    plan = Plan(
        uid="u", trace=trace_of("u", None), created_at=CREATED_AT, version="1", asked=asked_of(wanted), input=planned,
        items=items, shards=shards, input_tokens_estimate=0,
    )  # fmt: skip
    store.create(layout.PLAN, plan.dump_json())
    return Finished(Job(batch=wanted, store_uri=store_uri, output_uri=output_uri), plan, store, output, stores)


def fill_shard(store: Store, shard: Shard, record: Callable[[int], Document], parts: int = 1) -> None:
    """A claim, parts and an end of a shard."""
    store.create(layout.claim(shard.number, 1), Claim(worker="w", claimed_at=CREATED_AT).dump_json())
    lines = [orjson.dumps(record(n)) + b"\n" for n in range(shard.first_item, shard.first_item + shard.items)]
    size = -(-len(lines) // parts)
    names = []
    for number, start in enumerate(range(0, len(lines), size)):
        store.create(layout.part(shard.number, 1, number), b"".join(reversed(lines[start : start + size])))
        names.append((1, number))
    progress = ShardProgress(shard=shard.number, attempt=1, items=shard.items, succeeded=shard.items)
    store.create(layout.done(shard.number), Done(progress=progress, parts=names).dump_json())
