"""A plan made by hand over items in a working store, for tests of the engine that are not about planning."""

import json
from collections.abc import Iterable
from typing import Any

from builders import Document, batch
from llmbatch_contract import __version__, layout
from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan, PlannedInput, Shard, asked_of
from llmbatch_contract.spec import InputFormat
from llmbatch_contract.trace import trace_of
from llmbatch_worker.stores.protocol import Stores

NOW = "2026-01-01T00:00:00.000Z"


def hand_plan(
    stores: Stores,
    items: list[Document],
    *,
    shard_size: int,
    work_uri: str = "s3://bucket/out/_llmbatch/u",
    output_uri: str = "s3://bucket/out",
    **fields: Any,
) -> tuple[Plan, Job]:
    """Plan and job; both plan and items are in the working store. `fields` are those of `builders.batch`."""
    wanted = batch(uri="s3://bucket/items.jsonl", **{"prompt": "{{ text }}", **fields})
    lines = [json.dumps(item).encode() + b"\n" for item in items]
    size = sum(map(len, lines))
    plan = Plan(
        uid="u",
        trace=trace_of("u"),
        created_at=NOW,
        version=__version__,
        asked=asked_of(wanted),
        input=PlannedInput(
            uri="s3://bucket/items.jsonl", unpacked=True, size=size, sha256=None, format=InputFormat.JSONL,
            fields=sorted({name for item in items for name in item}),
        ),
        items=len(items),
        shards=list(_shards(lines, shard_size)),
        input_tokens_estimate=0,
    )  # fmt: skip
    store = stores.open(work_uri)
    store.put(layout.UNPACKED_INPUT, b"".join(lines))
    store.put(layout.PLAN, plan.dump_json())
    return plan, Job(batch=wanted, store_uri=work_uri, output_uri=output_uri)


def _shards(lines: list[bytes], shard_size: int) -> Iterable[Shard]:
    end = 0
    for number, first in enumerate(range(0, len(lines), shard_size)):
        of_shard = lines[first : first + shard_size]
        start, end = end, end + sum(map(len, of_shard))
        yield Shard(number, first, len(of_shard), start, end)
