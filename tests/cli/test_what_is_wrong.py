"""What is wrong with a manifest or its input is said with file, line and field, and ends with exit code 2."""

import logging
from pathlib import Path
from typing import Any

import pytest

from builders import Document
from engine.local_run import Bench, texts, write_jsonl
from llmbatch_cli.running.warned import saying_what_is_waited_for
from s3_servers import Bucket

pytest_plugins = ["s3_fixture"]

_AWAY = "http://127.0.0.1:9/v1"


def _bench(folder: Path, **fields: Any) -> Bench:
    write_jsonl(folder / "in.jsonl", texts(9))
    bench = Bench(folder, _AWAY)
    bench.batch(**{"input": {"uri": "in.jsonl"}, **fields})
    return bench


def _line_of(bench: Bench, field: str) -> int:
    lines = bench.manifest.read_text().splitlines()
    return 1 + next(number for number, line in enumerate(lines) if line.strip().startswith(f"{field}:"))


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize(
    ("fields", "field", "sentence"),
    [
        pytest.param(
            {"input": {"uri": "in.jsonl", "where": "text = 'a'"}}, "where", "spec.input.where: column 6", id="where"
        ),
        pytest.param(
            {"output": {"uri": "out", "fields": ["id", "outptu"]}},
            "fields",
            "spec.output.fields: results have no 'outptu'; did you mean 'output'?",
            id="a field of the results",
        ),
        pytest.param(
            {"input": {"pvc": {"claimName": "a", "path": "b.csv"}}},
            "pvc",
            "spec.input.pvc: exists on a cluster only",
            id="what only a cluster has",
        ),
        pytest.param({"output": {"uri": "ftp://a/b"}}, "uri", "spec.output.uri: ", id="a scheme that nobody knows"),
    ],
)
async def test_a_wrong_field_is_named_with_file_and_line(
    tmp_path: Path, command: str, fields: Document, field: str, sentence: str
) -> None:
    bench = _bench(tmp_path, **fields)
    ended = await bench.run(command=command)
    assert ended.code == 2, str(ended)
    line = _line_of(bench, "output") + 1 if field == "uri" else _line_of(bench, field)
    assert ended.err.startswith(f"error: {bench.manifest}:{line}: {sentence}"), str(ended)


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize("uri", ["none.jsonl", "none/*.jsonl", "none/"])
async def test_a_file_that_is_not_there_is_a_wrong_input(tmp_path: Path, command: str, uri: str) -> None:
    ended = await _bench(tmp_path, input={"uri": uri}).run(command=command)
    assert (ended.code, ended.out) == (2, ""), str(ended)
    assert str(tmp_path / "none") in ended.err


@pytest.mark.parametrize("key", ["none.jsonl", "none/*.jsonl"])
async def test_so_is_an_object(tmp_path: Path, moto_s3: Bucket, key: str) -> None:
    bench = _bench(tmp_path, input={"uri": moto_s3.uri(key), "store": moto_s3.settings})
    bench.env |= moto_s3.environment
    ended = await bench.run()
    assert ended.code == 2, str(ended)
    assert moto_s3.uri("none") in ended.err


async def test_a_plan_says_that_there_is_no_bucket_for_the_outputs(tmp_path: Path, moto_s3: Bucket) -> None:
    bench = _bench(tmp_path, output={"uri": "s3://no-such-bucket/out/", "store": moto_s3.settings})
    bench.env |= moto_s3.environment
    planned, ran = await bench.run(command="plan"), await bench.run()
    assert (planned.code, ran.code) == (0, 2)
    problem = planned.out.splitlines()[-1]
    assert problem.startswith("  problem    ")
    assert "there is no bucket no-such-bucket" in problem
    assert "there is no bucket no-such-bucket" in ran.err


async def test_a_plan_of_a_sample_does_not_call_it_the_first_items(tmp_path: Path) -> None:
    bench = _bench(tmp_path, input={"uri": "in.jsonl", "limit": 5, "sample": {"items": 3, "seed": 1}})
    assert "triage: 3 items, chosen, in " in (await bench.run(command="plan")).out
    bench = _bench(tmp_path, input={"uri": "in.jsonl", "limit": 5})
    assert "triage: the first 5 items in " in (await bench.run(command="plan")).out


def test_what_a_receiver_of_results_says_is_heard_while_it_is_waited_for() -> None:
    said: list[str] = []
    log = logging.getLogger("llmbatch_worker.delivering.posting")
    with saying_what_is_waited_for(said.append):
        log.warning("%s", "it answers HTTP 500; tries again in 4 s")
    assert said == ["it answers HTTP 500; tries again in 4 s"]
    assert log.propagate
