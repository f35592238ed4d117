"""Situations that users get into: each ends with an answer or with one clear sentence, never with a traceback."""

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from engine.local_run import Bench, Ended, texts, write_jsonl
from engine.own_endpoint import chat_answer, serving
from llmbatch_cli.simulator import Simulator, SimulatorSettings

KEY = "sk-geheim-4711-xyzzy"
SECRET = {"apiKeySecret": {"name": "openai", "key": "api-key"}}


def _clean(ended: Ended) -> Ended:
    assert "Traceback" not in ended.err, ended.err
    return ended


def _leaks(bench: Bench, ended: Ended, secret: str) -> list[str]:
    files = [p for p in bench.output.rglob("*") if p.is_file() and secret.encode() in p.read_bytes()]
    return [*map(str, files), *(text for text in (ended.out, ended.err) if secret in text)]


async def test_a_missing_key_is_named_by_its_variable(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "http://127.0.0.1:9/v1")
    bench.batch(items=texts(1), endpoint=SECRET)
    ended = _clean(await bench.run())
    assert ended.code == 2
    assert "OPENAI_API_KEY" in ended.err


@pytest.mark.parametrize("accepted", [KEY, "another"])
async def test_the_key_is_used_and_stands_nowhere(tmp_path: Path, accepted: str) -> None:
    async with Simulator(SimulatorSettings.parse({"api_key": accepted})) as sim:
        bench = Bench(tmp_path, sim.url, {"OPENAI_API_KEY": KEY})
        bench.batch(items=texts(3), endpoint=SECRET)
        ended = _clean(await bench.run())
    assert ended.code == (0 if accepted == KEY else 1)
    assert _leaks(bench, ended, KEY) == []


@pytest.mark.parametrize("status", [200, 400, 401, 500])
async def test_a_key_that_the_endpoint_echoes_stands_nowhere(tmp_path: Path, status: int) -> None:
    async def echo(request: web.Request) -> web.Response:
        message = f"bad key {request.headers['Authorization']}"
        return web.json_response({"error": {"message": message, "code": "invalid_value"}}, status=status)

    async with serving(echo) as url:
        bench = Bench(tmp_path, url, {"OPENAI_API_KEY": KEY})
        bench.batch(items=texts(2), endpoint=SECRET, output={"uri": "out", "format": "openai"})
        ended = _clean(await bench.run())
    assert _leaks(bench, ended, KEY) == []


@pytest.mark.parametrize("key", ["schlüssel-ü", "sk\u200bx", "two\nlines"])
async def test_a_key_that_no_header_can_carry_is_a_clear_error(tmp_path: Path, key: str) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url, {"OPENAI_API_KEY": key})
        bench.batch(items=texts(1), endpoint=SECRET)
        ended = _clean(await bench.run(deadline_s=30))
    assert ended.code == 2
    assert "OPENAI_API_KEY" in ended.err


async def test_a_header_that_no_request_can_carry_is_a_clear_error(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(1), endpoint={"headers": {"X-Team": "Zürich ☃"}})
        ended = _clean(await bench.run(deadline_s=30))
    assert ended.code in (0, 2)


@pytest.mark.parametrize("usage", [{"prompt_tokens": "12", "completion_tokens": "3"}, {"prompt_tokens": 12.5}])
async def test_a_strange_usage_does_not_end_the_batch(tmp_path: Path, usage: Any) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return chat_answer(usage=usage)

    async with serving(answer) as url:
        bench = Bench(tmp_path, url)
        bench.batch(items=texts(3))
        first = _clean(await bench.run())
        second = _clean(await bench.run())
    assert (first.code, second.code) in ((0, 0), (3, 3))
    assert bench.indexes() == [0, 1, 2]


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("kind", ["inline", "file", "csv"])
async def test_a_batch_of_no_item_or_one_succeeds(tmp_path: Path, count: int, kind: str) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        if kind == "inline":
            bench.batch(items=texts(count))
        elif kind == "file":
            (tmp_path / "in.jsonl").write_text("\n" + '{"text": "x"}\n' * count)
            bench.batch(uri="in.jsonl")
        else:
            (tmp_path / "in.csv").write_text("text\n" + "x\n" * count)
            bench.batch(uri="in.csv")
        ended = _clean(await bench.run())
    assert ended.code == 0, str(ended)
    assert len(bench.results()) == count
    assert bench.errors() == []


@pytest.mark.parametrize("kind", ["plain", "gzip"])
async def test_an_input_that_changed_between_runs_is_a_clear_error(tmp_path: Path, kind: str) -> None:
    name = "in.jsonl" if kind == "plain" else "in.jsonl.gz"

    def write(word: str) -> None:
        lines = "".join(json.dumps(item) + "\n" for item in texts(20, word)).encode()
        (tmp_path / name).write_bytes(lines if kind == "plain" else gzip.compress(lines))

    async with Simulator(SimulatorSettings.parse({"fail": {"auth": 1.0}, "fail_attempts": 0})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(uri=name)
        write("old")
        assert (await bench.run()).code == 1
        write("another")
        sim.update(fail={})
        ended = _clean(await bench.run())
        assert ended.code == 1, str(ended)
        assert "has changed since it was planned" in ended.err
        assert name in ended.err


async def test_a_changed_manifest_names_the_field(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(2))
        assert (await bench.run()).code == 0
        bench.batch(items=texts(2), prompt="Another {{ text }}")
        prompt = _clean(await bench.run())
        bench.batch(items=texts(3))
        items = _clean(await bench.run())
    assert (prompt.code, items.code) == (2, 2)
    assert "another spec.request.prompt" in prompt.err
    assert "another spec.input.items" in items.err


async def test_equal_ids_are_named_with_both_lines_before_anything_is_sent(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        write_jsonl(tmp_path / "in.jsonl", [{"id": n % 7, "text": "x"} for n in range(9)])
        bench.batch(input={"uri": "in.jsonl", "idField": "id"})
        ended = _clean(await bench.run())
        assert sim.stats.requests == 0
    assert ended.code == 2
    assert "in.jsonl:8: id '0' stands already on line 1" in ended.err


@pytest.mark.parametrize(
    "name", ["50% off.jsonl", "a b.jsonl", "täst ü.jsonl", "a?b&c=d.jsonl", "[x]*.jsonl", "~x.jsonl"]
)
async def test_a_file_of_any_name_is_read_and_written(tmp_path: Path, name: str) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        folder = tmp_path / f"folder {name}"
        folder.mkdir()
        bench = Bench(folder, sim.url)
        write_jsonl(folder / name, texts(2))
        bench.batch(uri=name)
        ended = _clean(await bench.run())
    assert ended.code == 0, str(ended)
    assert len(bench.results()) == 2


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object:os.system {}",
        "spec: !custom x",
        "? [a]\n: b",
        "&a [*a]",
        "a: &x {b: *x}",
        "{",
        "- 1",
        "",
        "\x00",
        "kind: *none",
    ],
)
async def test_a_manifest_that_is_none_is_one_clear_sentence(tmp_path: Path, text: str) -> None:
    bench = Bench(tmp_path, "")
    bench.manifest.write_text(text)
    ended = _clean(await bench.run())
    assert ended.code == 2
    assert ended.err.startswith(f"error: {bench.manifest}")


async def test_an_output_folder_that_may_not_be_written_is_a_clear_error(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "http://127.0.0.1:9/v1")
    (tmp_path / "out").write_text("a file")
    bench.batch(items=texts(1))
    ended = _clean(await bench.run())
    assert ended.code == 1
    assert str(tmp_path / "out") in ended.err


async def test_an_endpoint_that_is_away_ends_the_batch_with_a_clear_error(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "http://127.0.0.1:9/v1")
    bench.batch(items=texts(5), retry={"maxAttempts": 2, "initialSeconds": 0.01})
    ended = _clean(await bench.run())
    assert ended.code == 1, str(ended)
    assert "cannot connect to 127.0.0.1:9" in bench.summary()["reason"]["message"]
    assert bench.results() == []


async def test_no_request_comes_before_retry_after_has_passed(tmp_path: Path) -> None:
    arrivals: list[float] = []

    async def busy_once(_request: web.Request) -> web.Response:
        arrivals.append(time.monotonic())
        if len(arrivals) == 10:
            return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "2"})
        return chat_answer()

    async with serving(busy_once) as url:
        bench = Bench(tmp_path, url)
        bench.batch(items=texts(40), concurrency=1)
        ended = _clean(await bench.run())
    assert ended.code == 0, str(ended)
    assert arrivals[10] - arrivals[9] >= 1.99
    assert len(arrivals) == 41
