"""A local run with a real receiver of OTLP, and what must hold of all that came.

with told_bench(tmp_path, sim.url) as (bench, receiver): ...
check_tree(receiver, bench)         one trace, every parent there, every failed item
check_totals(receiver, bench)       metrics equal summary.json
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.local_run import Bench
from otlp_decoding import ReceivedSpan
from otlp_receiver import OtlpReceiver

PRICING = {"inputPerMillion": 3.0, "outputPerMillion": 7.5}


@contextmanager
def told_bench(folder: Path, url: str, **environment: str) -> Iterator[tuple[Bench, OtlpReceiver]]:
    """A folder, and where its runs export to; keywords are more variables."""
    with OtlpReceiver() as receiver:
        yield Bench(folder, url, env=receiver.environment() | environment), receiver


def items_of(receiver: OtlpReceiver) -> list[ReceivedSpan]:
    """The spans of items."""
    return [span for span in receiver.spans if "llmbatch.item.id" in span.attributes]


def check_tree(receiver: OtlpReceiver, bench: Bench) -> ReceivedSpan:
    """One trace with one root, in which all parents are there and of the right kind; returns the root."""
    [root] = receiver.spans_named("batch")
    summary, by_id = bench.summary(), {span.span_id: span for span in receiver.spans}
    assert {span.trace_id for span in receiver.spans} == {summary["trace_id"]}
    assert len(by_id) == len(receiver.spans), "two spans with one id"
    parents = {"plan": "batch", "finalize": "batch", "shard": "batch", "chat gpt-4.1-mini": "shard"}
    for span in receiver.spans:
        if span is not root:
            assert span.parent_id in by_id, f"{span.name} has no parent"
            assert by_id[span.parent_id].name == parents.get(span.name, "chat gpt-4.1-mini")
    failed = {letter["id"]: letter["error"]["category"] for letter in bench.errors()}
    told = {span.attributes["llmbatch.item.id"]: span.attributes.get("error.type") for span in items_of(receiver)}
    assert {item: told.get(item) for item in failed} == failed
    counts = {name: root.attributes[f"llmbatch.items.{name}"] for name in ("succeeded", "failed", "cancelled")}
    assert counts | {"total": root.attributes["llmbatch.items"]} == summary["items"]
    assert root.attributes["llmbatch.attempts"] == summary["attempts"]
    return root


def check_totals(receiver: OtlpReceiver, bench: Bench) -> None:
    """Items, attempts, tokens and cost are those of the summary, to the last one."""
    summary = bench.summary()
    items, usage = summary["items"], summary["usage"]

    def total(name: str, **attributes: Any) -> float:
        return receiver.total(f"llmbatch.batch.{name}", {k.replace("__", "."): v for k, v in attributes.items()})

    assert total("items", llmbatch__outcome="succeeded") == items["succeeded"]
    assert total("items", llmbatch__outcome="failed") == items["failed"]
    for error in summary["errors"]:
        if error["category"] != "cancelled":
            assert total("items", llmbatch__category=error["category"]) == error["count"]
    assert total("items", llmbatch__outcome="cancelled") == items["cancelled"]
    assert total("attempts") == summary["attempts"]
    assert total("resent_items") == summary["resent_items"]
    for kind in ("input", "output"):
        assert total("tokens", gen_ai__token__type=kind) == usage[f"{kind}_tokens"]
    assert total("cost") == pytest.approx(summary["cost"]["amount"], abs=1e-9)
    assert receiver.last("llmbatch.batch.size") is not None
