"""What `llmbatch run` prints and how it exits."""

import asyncio
import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from builders import Document
from engine.local_run import Bench, Ended, texts, until
from llmbatch_cli.simulator import Simulator, SimulatorSettings

FINE = {"text": "fine"}
REFUSED = {"text": "[[simulate: refusal]]"}
DENIED = {"text": "[[simulate: auth]]"}


def _settings(**settings: Any) -> SimulatorSettings:
    return SimulatorSettings.parse(settings)


async def _ran(folder: Path, items: Sequence[Document], output: str, **fields: Any) -> tuple[Bench, Ended]:
    async with Simulator(_settings()) as sim:
        bench = Bench(folder, sim.url)
        bench.batch(items=list(items), **fields)
        return bench, await bench.run("--output", output)


@pytest.mark.parametrize("output", ["json", "text"])
@pytest.mark.parametrize(
    ("items", "fields", "code", "phase"),
    [
        pytest.param([FINE], {}, 0, "Succeeded", id="0: all items succeeded"),
        pytest.param([FINE, REFUSED], {}, 3, "CompletedWithErrors", id="3: some items failed"),
        pytest.param([DENIED], {}, 1, "Failed", id="1: stopped before the end"),
        pytest.param([FINE], {"prompt": "{{ txt }}"}, 2, None, id="2: nothing was sent"),
    ],
)
async def test_the_exit_code_tells_how_it_ended_and_so_does_the_last_that_is_printed(
    tmp_path: Path, items: list[Document], fields: Document, code: int, phase: str | None, output: str
) -> None:
    bench, ended = await _ran(tmp_path, items, output, **fields)
    assert ended.code == code, str(ended)
    if phase is None:
        assert ended.err.startswith("error: ")
        assert not (bench.output / "summary.json").exists()
        return
    assert ended.err == ""
    if output == "json":
        assert ended.summary == bench.summary()
        assert ended.summary["phase"] == phase
    else:
        assert f"triage: {phase} in " in ended.out
        assert ended.out.splitlines()[-1].split() == ["errors", str(bench.output / "errors.jsonl")]


async def test_json_lines_tell_the_stages_in_order_and_counts_never_go_back(tmp_path: Path) -> None:
    async with Simulator(_settings(latency="20ms")) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(150), concurrency=2, shardSize=50, pricing={"inputPerMillion": 1.0})
        ended = await bench.run("--output", "json")
    assert ended.code == 0, str(ended)
    *lines, last = ended.lines
    assert list(last) == ["summary"]
    moments = [line for line in lines if "stage" in line]
    assert list(dict.fromkeys(m["stage"] for m in moments)) == ["running", "finalizing"]
    assert [line["message"] for line in lines if "message" in line] == ["planned 150 items in 3 shards"]
    running = [m for m in moments if m["stage"] == "running"]
    done = [m["items"]["succeeded"] + m["items"]["failed"] for m in running]
    assert len(running) >= 3
    assert done == sorted(done)
    assert running[-1]["items"] == {"total": 150, "succeeded": 150, "failed": 0}
    assert running[-1]["usage"] == last["summary"]["usage"]


async def test_troubles_are_told_while_they_last(tmp_path: Path) -> None:
    async with Simulator(_settings(fail={"unavailable": 1.0}, fail_attempts=0)) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(5), concurrency=2)
        async with bench.started("--output", "json") as process:
            told = await asyncio.wait_for(_first_with(process.process.stdout, "waiting"), 30)
            sim.update(fail={})
            assert (await process.ended()).code == 0
    assert set(told["waiting"]) == {"overloaded"}


async def _first_with(stream: asyncio.StreamReader | None, field: str) -> Document:
    """The first line in which a field is not empty."""
    assert stream is not None
    async for line in stream:
        moment: Document = json.loads(line)
        if moment.get(field):
            return moment
    raise AssertionError(f"no line with {field}")


@pytest.mark.parametrize("output", ["json", "text"])
async def test_an_interrupted_run_says_how_to_go_on_and_exits_with_130(tmp_path: Path, output: str) -> None:
    async with Simulator(_settings(latency="20ms")) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(5000), concurrency=2)
        async with bench.started("--output", output) as process:
            await until(lambda: sim.stats.answered_ok >= 10)
            process.signal(signal.SIGINT)
            ended = await process.ended()
    assert (ended.code, ended.err) == (130, "")
    last = ended.lines[-1]["message"] if output == "json" else ended.out.splitlines()[-1]
    assert last.endswith("Run the same command again to go on")


async def test_a_second_run_of_a_finished_batch_says_the_same_and_asks_nothing(tmp_path: Path) -> None:
    async with Simulator(_settings()) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(3))
        await bench.run()
        before = (bench.output / "results.jsonl").read_bytes()
        ended = await bench.run("--output", "json")
        assert sim.stats.requests == 3
    assert ended.code == 0, str(ended)
    assert ended.summary["items"]["succeeded"] == 3
    assert (bench.output / "results.jsonl").read_bytes() == before


async def test_text_that_is_no_terminals_has_no_control_characters(tmp_path: Path) -> None:
    _, ended = await _ran(tmp_path, [FINE, REFUSED, {"other": 1}], "text")
    assert all(char.isprintable() or char == "\n" for char in ended.out), repr(ended.out)
    _planned, warning, *_ = ended.out.splitlines()
    assert warning.startswith("warning: the templates do not fit 1 items")
    assert "error      refusal: 1, as 1: " in ended.out


@pytest.mark.parametrize(
    "arguments",
    [["--workers", "0"], ["--workers", "x"], ["--output", "xml"], ["--nonsense"], ["another.yaml"]],
    ids=" ".join,
)
async def test_a_wrong_command_line_exits_with_2(tmp_path: Path, arguments: list[str]) -> None:
    bench = Bench(tmp_path, "http://127.0.0.1:9/v1")
    bench.batch(items=[FINE])
    ended = await bench.run(*arguments)
    assert ended.code == 2, str(ended)
    assert "Traceback" not in ended.err
    assert not bench.output.exists()
