"""Every form of input and output carries the same questions and the same answers."""

import asyncio
import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pyarrow
import pyarrow.parquet
import pytest
import zstandard
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from builders import Document
from engine.local_run import Bench
from llmbatch_cli.simulator import Simulator, SimulatorSettings

ITEMS: list[Document] = [
    {"id": "b", "text": "plain"},
    {"id": "a", "text": 'quotes ", commas, and\ntwo lines'},
    {"id": "ü-3", "text": "Grüße 🙂 <b>&amp;</b>"},
    {"id": "007", "text": "  spaces  "},
]
SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}


def _messages(item: Document) -> list[Document]:
    return [{"role": "user", "content": item["text"]}]


def _request(item: Document) -> Document:
    body = {"model": "gpt-4.1-mini", "messages": _messages(item)}
    return {"custom_id": item["id"], "method": "POST", "url": "/v1/chat/completions", "body": body}


def _json_lines(rows: list[Document]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _csv(delimiter: str = ",") -> bytes:
    text = io.StringIO()
    rows = csv.DictWriter(text, ["id", "text"], delimiter=delimiter)
    rows.writeheader()
    rows.writerows(ITEMS)
    return text.getvalue().encode()


def _parquet() -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ITEMS), file, row_group_size=2)
    return file.getvalue()


_FILES: dict[str, Callable[[], bytes]] = {
    "in.jsonl": lambda: _json_lines(ITEMS),
    "in.csv": _csv,
    "semicolons.csv": lambda: _csv(";"),
    "in.jsonl.gz": lambda: gzip.compress(_json_lines(ITEMS)),
    "in.csv.gz": lambda: gzip.compress(_csv()),
    "in.jsonl.zst": lambda: zstandard.compress(_json_lines(ITEMS)),
    "in.tsv": lambda: _csv("\t"),
    "in.parquet": _parquet,
    "of-any-name": _parquet,
    "openai.jsonl": lambda: _json_lines([_request(item) for item in ITEMS]),
    "openai.jsonl.gz": lambda: gzip.compress(_json_lines([_request(item) for item in ITEMS])),
}


_SPLIT: dict[str, tuple[str, Callable[[Document], bytes]]] = {
    "day/": (".jsonl", lambda item: _json_lines([item])),
    "day/*.gz": (".jsonl.gz", lambda item: gzip.compress(_json_lines([item]))),
}
"""An object for each item."""


def _fields(folder: Path, form: str) -> Document:
    """What the manifest says of an input, once it is there."""
    if form == "inline":
        return {"input": {"items": ITEMS, "idField": "id"}}
    if form in _SPLIT:
        (folder / "day").mkdir()
        for number, item in enumerate(ITEMS):
            (folder / "day" / f"{number}{_SPLIT[form][0]}").write_bytes(_SPLIT[form][1](item))
        return {"input": {"uri": form, "idField": "id"}}
    (folder / form).write_bytes(_FILES[form]())
    if form.startswith("openai"):
        return {"input": {"uri": form, "format": "openai"}, "request": None, "model": None}
    return {"input": {"uri": form, "idField": "id"}}


async def _asked_directly(url: str) -> list[tuple[str, str]]:
    """Ids and answers, as the endpoint gives them to anybody."""
    found = []
    async with aiohttp.ClientSession() as session:
        for item in ITEMS:
            body = {"model": "gpt-4.1-mini", "messages": _messages(item)}
            async with session.post(f"{url}/chat/completions", json=body) as response:
                found.append((item["id"], (await response.json())["choices"][0]["message"]["content"]))
    return found


async def _ran(folder: Path, url: str, form: str, output: str) -> Bench:
    folder.mkdir()  # noqa: ASYNC240
    bench = Bench(folder, url)
    bench.batch(**_fields(folder, form), output={"uri": "out", "format": output})
    ended = await bench.run()
    assert ended.code == 0, str(ended)
    return bench


def _csv_rows(bench: Bench) -> list[dict[str, str]]:
    with (bench.output / "results.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _content(row: Document) -> str:
    return str(row["response"]["body"]["choices"][0]["message"]["content"])


def _parquet_rows(bench: Bench) -> list[Document]:
    rows: list[Document] = pyarrow.parquet.read_table(bench.output / "results.parquet").to_pylist()
    return rows


@pytest.mark.parametrize("form", ["inline", *_FILES, *_SPLIT])
async def test_an_input_gives_the_same_ids_and_answers_in_every_output(tmp_path: Path, form: str) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        expected = await _asked_directly(sim.url)
        jsonl, table, openai, parquet = await asyncio.gather(
            *(_ran(tmp_path / output, sim.url, form, output) for output in ("jsonl", "csv", "openai", "parquet"))
        )
    assert [(r["id"], r["output"]) for r in jsonl.results()] == expected
    assert [(r["custom_id"], _content(r)) for r in openai.results()] == expected
    assert [(r["id"], r["output"]) for r in _parquet_rows(parquet)] == expected
    id_column = "custom_id" if form.startswith("openai") else "id"
    assert [(r[id_column], r["ai_output"]) for r in _csv_rows(table)] == expected
    if id_column == "id":
        assert [r["text"] for r in _csv_rows(table)] == [item["text"] for item in ITEMS]


_APIS: list[tuple[str, Document, Any]] = [
    ("chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}, ChatCompletion),
    ("responses", {"input": "Hi"}, Response),
    ("completions", {"prompt": "Hi"}, Completion),
    ("embeddings", {"input": ["Hi", "Ho"]}, CreateEmbeddingResponse),
]


async def test_an_openai_batch_comes_back_as_from_openai(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        lines = [
            {"custom_id": f"{path} {n}", "method": "POST", "url": f"/v1/{path}", "body": {"model": "m", **question}}
            for n in (2, 1)
            for path, question, _ in _APIS
        ]
        (tmp_path / "in.jsonl").write_bytes(_json_lines(lines))
        output = {"uri": "out", "format": "openai"}
        bench.batch(input={"uri": "in.jsonl", "format": "openai"}, request=None, model=None, output=output)
        ended = await bench.run()
    assert ended.code == 0, str(ended)
    rows = bench.results()
    assert [row["custom_id"] for row in rows] == [line["custom_id"] for line in lines]
    for row, (_, _, answer) in zip(rows, _APIS * 2, strict=True):
        assert list(row) == ["id", "custom_id", "response", "error"]
        assert (row["error"], row["response"]["status_code"]) == (None, 200)
        assert row["response"]["request_id"]
        read = answer.construct(**row["response"]["body"])
        assert read.usage.total_tokens > 0
        assert read.model == "m"
    assert len({row["id"] for row in rows}) == len(rows)


async def test_failed_requests_of_an_openai_batch_are_in_an_error_file_as_openais(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        texts = ["[[simulate: bad_request]]", "fine", "[[simulate: reset]]", "[[simulate: server_error]]"]
        requests = [_request({"id": f"r{n}", "text": text}) for n, text in enumerate(texts)]
        (tmp_path / "in.jsonl").write_bytes(_json_lines(requests))
        output, retry = {"uri": "out", "format": "openai"}, {"maxAttempts": 2, "initialSeconds": 0.01}
        bench.batch(input={"uri": "in.jsonl"}, request=None, model=None, output=output, retry=retry)
        ended = await bench.run()
    assert ended.code == 3, str(ended)
    assert [row["custom_id"] for row in bench.results()] == ["r1"]
    refused, lost, broken = bench.errors()
    assert (refused["custom_id"], refused["response"]["status_code"], refused["error"]) == ("r0", 400, None)
    assert refused["response"]["body"]["error"]["code"] == "invalid_value"
    assert (lost["custom_id"], lost["response"], lost["error"]["code"]) == ("r2", None, "connection")
    assert (broken["custom_id"], broken["response"]["status_code"]) == ("r3", 500)


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_a_schema_gives_objects_and_columns_and_an_answer_that_breaks_it_is_asked_again(
    tmp_path: Path, api: str
) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        request = {"api": api, "prompt": "{{ text }}", "responseSchema": SCHEMA}
        items = [{"text": "fine"}, {"text": "[[simulate: wrong_schema x2]]"}]
        bench.batch(items=items, request=request, output={"uri": "out", "format": "csv"})
        ended = await bench.run()
        assert ended.code == 0, str(ended)
        assert sim.stats.requests == 4
    rows = _csv_rows(bench)
    assert list(rows[0]) == ["text", "ai_output", "n"]
    assert [json.loads(row["ai_output"]) for row in rows] == [{"n": int(row["n"])} for row in rows]
    assert bench.summary()["retries"] == 2


async def test_the_input_stands_beside_the_answer_where_it_is_wanted(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(**_fields(tmp_path, "in.csv"), output={"uri": "out", "includeInput": True})
        ended = await bench.run()
    assert ended.code == 0, str(ended)
    assert [row["input"] for row in bench.results()] == ITEMS
