"""`llmbatch plan` shows what a run would do, and does nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from builders import Document, with_field
from engine.local_run import Bench, Ended, texts, write_jsonl
from engine.own_endpoint import chat_answer, serving

AWAY = "http://127.0.0.1:9/v1"


async def _planned(bench: Bench) -> Document:
    ended = await bench.run("--output", "json", command="plan")
    assert (ended.code, ended.err) == (0, ""), str(ended)
    return dict(json.loads(ended.out))


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def _full(bench: Bench, items: int = 50) -> None:
    """A batch that has something of everything that is shown."""
    write_jsonl(bench.folder / "in.jsonl", [{"id": n, "text": "x" * 400} for n in range(items)])
    bench.batch(
        input={"uri": "in.jsonl", "idField": "id"},
        request={"system": "Be brief.", "prompt": "{{ text }}", "parameters": {"max_tokens": 100}},
        limits={"requestsPerMinute": 25},
        pricing={"inputPerMillion": 10.0, "outputPerMillion": 30.0},
        shardSize=20,
    )


async def test_items_shards_first_request_tokens_cost_and_time_are_shown(tmp_path: Path) -> None:
    bench = Bench(tmp_path, AWAY)
    _full(bench)
    report = await _planned(bench)
    assert (report["items"], report["shards"], report["fields"]) == (50, 3, ["id", "text"])
    assert report["input"]["uri"] == str(tmp_path / "in.jsonl")
    assert report["first_request"]["path"] == "/chat/completions"
    assert report["first_request"]["body"]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "x" * 400},
    ]
    estimate = report["estimate"]
    assert 5_000 <= estimate["input_tokens"] <= 7_500
    assert estimate["output_tokens"] == 5_000
    assert estimate["cost"] == pytest.approx(estimate["input_tokens"] * 10e-6 + 5_000 * 30e-6, abs=1e-4)
    assert (estimate["currency"], estimate["minutes_at_least"], report["problems"]) == ("USD", 2.0, [])


async def test_the_same_stands_in_the_text(tmp_path: Path) -> None:
    bench = Bench(tmp_path, AWAY)
    _full(bench)
    ended = await bench.run(command="plan")
    assert ended.code == 0, str(ended)
    for words in (
        "50 items in 3 shards",
        "in.jsonl",
        "id, text",
        "5,000 out",
        "USD",
        "2.0 minutes",
        f"POST {AWAY}/chat",
    ):
        assert words in ended.out
    assert '"content": "Be brief."' in ended.out


async def test_nothing_is_written_and_no_key_is_needed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, AWAY)
    bench.batch(items=texts(3), endpoint={"apiKeySecret": {"name": "openai"}})
    await _planned(bench)
    assert _names(tmp_path) == ["batch.yaml"]


async def test_the_first_request_is_the_one_that_a_run_sends(tmp_path: Path) -> None:
    received: list[Any] = []

    async def keep(request: web.Request) -> web.Response:
        received.append(await request.json())
        return chat_answer()

    async with serving(keep) as url:
        bench = Bench(tmp_path, url)
        schema = {"type": "object", "properties": {}}
        request = {"prompt": "{{ text }}", "parameters": {"temperature": 0}, "responseSchema": schema}
        bench.batch(items=texts(1), request=request, retry={"maxAttempts": 1})
        report = await _planned(bench)
        assert received == []
        await bench.run()
    assert received[0] == report["first_request"]["body"]


async def test_items_that_the_template_does_not_fit_are_a_problem_that_is_counted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, AWAY)
    bench.batch(items=[*texts(3), {"other": 1}, {"other": 2}])
    (problem,) = (await _planned(bench))["problems"]
    assert problem.startswith("the templates do not fit 2 items")
    assert "spec.input.items:4" in problem


async def test_a_batch_of_nothing_can_be_planned(tmp_path: Path) -> None:
    bench = Bench(tmp_path, AWAY)
    bench.batch(items=[])
    report = await _planned(bench)
    assert (report["items"], report["first_request"], report["estimate"]["input_tokens"]) == (0, None, 0)
    assert (await bench.run(command="plan")).code == 0


def _is_refused(ended: Ended, *words: str) -> None:
    assert ended.code == 2, str(ended)
    assert ended.err.startswith("error: ")
    assert all(word in ended.err for word in words), ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        pytest.param("spec.concurrency", 0, "concurrency: 0", id="a wrong value"),
        pytest.param("spec.shardsize", 5, "shardsize: 5", id="an unknown field"),
        pytest.param("spec.endpoint.url", "ftp://x", "url: ftp://x", id="a wrong value further in"),
    ],
)
async def test_a_mistake_in_the_manifest_names_file_line_and_field(
    tmp_path: Path, command: str, path: str, value: object, line: str
) -> None:
    bench = Bench(tmp_path, AWAY)
    bench.write(with_field(bench.batch(items=texts(1)), path, value))
    number = next(n for n, text in enumerate(bench.manifest.read_text().splitlines(), 1) if line in text)
    _is_refused(await bench.run(command=command), f"{bench.manifest}:{number}: {path}: ")


@pytest.mark.parametrize("command", ["plan", "run"])
async def test_a_mistake_in_the_input_names_file_and_line(tmp_path: Path, command: str) -> None:
    bench = Bench(tmp_path, AWAY)
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n{"text": }\n')
    bench.batch(uri="in.jsonl")
    _is_refused(await bench.run(command=command), f"{tmp_path}/in.jsonl:2: column")
