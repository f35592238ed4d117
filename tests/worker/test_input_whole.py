"""Whatever an input is made of, shards read the items that it holds: against a plain list of them."""

import csv
import gzip
import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import Document, batch
from llmbatch_contract.plan import Plan
from llmbatch_worker.inputs.reading import PlannedItems
from llmbatch_worker.inputs.selecting import Sampler
from llmbatch_worker.planning.planner import Planned, make_plan
from llmbatch_worker.stores.local import LocalStore

_PACK: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}
_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('\n",;'), max_size=5)


@dataclass(frozen=True)
class Case:
    """Items in objects, and what is asked of them."""

    form: str
    objects: list[list[Document]]
    packings: list[str]
    group_rows: int
    fields: Document
    """Of `spec.input`."""
    shard_size: int | None
    output: Document

    @property
    def items(self) -> list[Document]:
        return [item for items in self.objects for item in items]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    form = draw(st.sampled_from(["jsonl", "csv", "parquet", "openai"]))
    texts = draw(st.lists(_TEXT, min_size=1, max_size=40))
    items = [_item(form, number, text, draw(st.integers(0, 3))) for number, text in enumerate(texts)]
    cuts = sorted(draw(st.lists(st.integers(0, len(items)), max_size=4)))
    objects = [items[a:b] for a, b in zip([0, *cuts], [*cuts, len(items)], strict=True)]
    packings = [draw(st.sampled_from(["", "", ".gz", ".zst"])) if form != "parquet" else "" for _ in objects]
    fields: Document = {}
    if form != "openai" and draw(st.booleans()):
        fields["idField"] = "id"
    if draw(st.booleans()):
        fields["where"] = "url == '/v1/responses'" if form == "openai" else "kind != 'k0'"
    if draw(st.booleans()):
        fields["limit"] = draw(st.integers(1, 40))
    if draw(st.integers(0, 3)) == 0:
        fields["sample"] = {"items": draw(st.integers(1, 20)), "seed": draw(st.integers(0, 3))}
    return Case(
        form=form,
        objects=objects,
        packings=packings,
        group_rows=draw(st.integers(1, 20)),
        fields=fields,
        shard_size=draw(st.none() | st.integers(1, 30)),
        output=draw(st.sampled_from([{}, {"includeInput": True}])),
    )


def _item(form: str, number: int, text: str, kind: int) -> Document:
    if form == "openai":
        url = "/v1/responses" if kind else "/v1/embeddings"
        return {"custom_id": f"c{number}", "method": "POST", "url": url, "body": {"input": text}}
    item = {"id": f"t{number}", "text": text, "kind": f"k{kind}"}
    return item if form == "csv" else item | {"n": number * 1.5, "deep": {"list": [kind, None]}}


def _bytes(form: str, items: list[Document], group_rows: int) -> bytes:
    if form == "parquet":
        schema = pa.schema([
            ("id", pa.string()), ("text", pa.string()), ("kind", pa.string()), ("n", pa.float64()),
            ("deep", pa.struct([("list", pa.list_(pa.int64()))])),
        ])  # fmt: skip
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(items, schema=schema), sink, row_group_size=group_rows)
        return sink.getvalue()
    if form == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, ["id", "text", "kind"], quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writeheader()
        writer.writerows(items)
        return text.getvalue().encode()
    return b"".join(orjson.dumps(item) + b"\n" for item in items)


def _write(folder: Path, case: Case) -> None:
    suffix = "jsonl" if case.form == "openai" else case.form
    for number, (items, packing) in enumerate(zip(case.objects, case.packings, strict=True)):
        data = _bytes(case.form, items, case.group_rows)
        (folder / f"{number:03}.{suffix}").write_bytes(_PACK[packing](data))  # its name does not say how it is packed


def _expected(case: Case) -> list[tuple[str, Document]]:
    """Ids and items, by the rules in words: where, then limit, then sample."""
    id_field = "custom_id" if case.form == "openai" else case.fields.get("idField")
    numbered = list(enumerate(case.items))
    if "where" in case.fields:
        numbered = [(n, i) for n, i in numbered if i.get("kind") != "k0" and i.get("url") != "/v1/embeddings"]
    numbered = numbered[: case.fields.get("limit")]
    if "sample" in case.fields:
        sampler = Sampler(case.fields["sample"]["items"], case.fields["sample"]["seed"])
        for number, _ in numbered:
            sampler.note(number)
        numbered = [(n, i) for n, i in numbered if n in set(sampler.taken())]
    return [(item[id_field] if id_field else str(number), item) for number, item in numbered]


def _plan(folder: Path, case: Case, store: LocalStore) -> tuple[Planned, Any]:
    request: Document = {"prompt": "{{ text }}"} if case.form != "openai" else {"request": None, "model": None}
    wanted = batch(
        input={"uri": f"{folder.as_uri()}/", **case.fields},
        **{"prompt": None} if case.form == "openai" else {},
        **request,
        shard_size=case.shard_size,
        output=case.output or None,
    )
    return make_plan(wanted, store, uid="u", created_at="2026-01-01T00:00:00Z"), wanted


def _read(plan: Plan, id_field: str | None, store: LocalStore) -> list[tuple[int, str, Document]]:
    items = PlannedItems(plan.input, id_field, store)
    found = []
    for shard in plan.shards:
        rows = list(items.rows(shard))
        assert (len(rows), rows[0][0]) == (shard.items, shard.first_item)
        found += [(number, item_id, row.item) for number, item_id, row in rows]
    return found


@settings(max_examples=100, deadline=None)
@given(case=cases(), seed=st.integers(0, 9))
def test_shards_read_the_items_of_the_input_whatever_it_is_made_of(
    tmp_path_factory: pytest.TempPathFactory, case: Case, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("in")
    _write(folder, case)
    store = LocalStore((folder / ".work").as_uri())
    planned, wanted = _plan(folder, case, store)
    plan = planned.plan
    expected = _expected(case)
    if case.form == "parquet" and not case.output:
        needed = {"text", *(["kind"] * ("where" in case.fields)), *(["id"] * ("idField" in case.fields))}
        expected = [(i, {k: v for k, v in item.items() if k in needed}) for i, item in expected]
    found = _read(plan, wanted.spec.input.id_field, store)
    assert found == [(number, item_id, item) for number, (item_id, item) in enumerate(expected)]
    assert plan.items == len(expected)
    again = list(plan.shards)
    random.Random(seed).shuffle(again)
    items = PlannedItems(plan.input, wanted.spec.input.id_field, store)
    by_shard = {number: row.item for shard in again for number, _, row in items.rows(shard)}
    assert [by_shard[n] for n in range(plan.items)] == [item for _, item in expected]
