"""An input that is not the one that was planned is noticed, whenever it changes; what was answered is kept."""

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.local_run import Bench, Ended, texts, until, write_jsonl
from llmbatch_cli.simulator import Simulator, SimulatorSettings

ITEMS = 200
_CHANGED = "has changed since it was planned"


def _replace(path: Path) -> None:
    new = write_jsonl(path.with_suffix(".new"), texts(ITEMS, "else"))
    new.replace(path)


def _append(path: Path) -> None:
    with path.open("a") as file:
        file.write('{"text": "one more"}\n')


def _truncate(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


_CHANGES = [
    pytest.param(_replace, _CHANGED, id="replaced by one of the same size"),
    pytest.param(_append, _CHANGED, id="appended to"),
    pytest.param(_truncate, "has ", id="cut short"),
    pytest.param(lambda path: path.unlink(), "there is no such file", id="removed"),
]
Change = Callable[[Path], object]


def _is_clear(ended: Ended, path: Path, words: str) -> None:
    assert ended.code == 1, str(ended)
    assert ended.err.startswith("error: "), ended.err
    assert str(path) in ended.err
    assert words in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(("change", "words"), _CHANGES)
async def test_an_input_that_changes_during_a_run_ends_it_and_put_back_it_goes_on(
    tmp_path: Path, change: Change, words: str
) -> None:
    path, kept = tmp_path / "in.jsonl", tmp_path / "kept"
    async with Simulator(SimulatorSettings.parse({"latency": "20ms"})) as sim:
        bench = Bench(tmp_path, sim.url)
        write_jsonl(path, texts(ITEMS))
        bench.batch(uri=path.name, concurrency=2, shardSize=10)
        async with bench.started() as process:
            await until(lambda: sim.stats.answered_ok >= 20)
            path.rename(kept)  # the planned version keeps its inode and time
            shutil.copy(kept, path)
            change(path)
            ended = await process.ended()
        _is_clear(ended, path, words)
        answered = {r["index"] for r in bench.parts()}
        assert len(answered) >= 18
        kept.rename(path)
        sim.reset()
        again = await bench.run()
        assert again.code == 0, str(again)
        assert sim.stats.requests == ITEMS - len(answered)
        assert [r["index"] for r in bench.results()] == list(range(ITEMS))


@pytest.mark.parametrize(("change", "words"), _CHANGES)
async def test_an_input_that_changed_between_two_runs_is_noticed_before_anything_is_sent(
    tmp_path: Path, change: Change, words: str
) -> None:
    path = tmp_path / "in.jsonl"
    async with Simulator(SimulatorSettings.parse({"fail": {"auth": 1.0}, "fail_attempts": 0})) as sim:
        bench = Bench(tmp_path, sim.url)
        write_jsonl(path, texts(ITEMS))
        bench.batch(uri=path.name, concurrency=1)
        assert (await bench.run()).code == 1
        before = {p.name: p.read_bytes() for p in bench.output.iterdir() if p.is_file()}
        change(path)
        sim.update(fail={})
        sim.reset()
        ended = await bench.run()
        assert sim.stats.requests == 0
    _is_clear(ended, path, words)
    assert {p.name: p.read_bytes() for p in bench.output.iterdir() if p.is_file()} == before


async def test_a_gzip_input_that_changes_during_a_run_harms_nothing(tmp_path: Path) -> None:
    """It was unpacked when it was planned."""
    path = tmp_path / "in.jsonl.gz"
    async with Simulator(SimulatorSettings.parse({"latency": "20ms"})) as sim:
        bench = Bench(tmp_path, sim.url)
        path.write_bytes(gzip.compress(write_jsonl(tmp_path / "plain", texts(60)).read_bytes()))
        bench.batch(uri=path.name, concurrency=2, shardSize=10, output={"uri": "out", "includeInput": True})
        async with bench.started() as process:
            await until(lambda: sim.stats.answered_ok >= 20)
            path.write_bytes(gzip.compress(b'{"text": "else"}\n'))
            ended = await process.ended()
    assert ended.code == 0, str(ended)
    assert [r["input"] for r in bench.results()] == texts(60)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda path: path.write_bytes(gzip.compress(b'{"text": "else"}')), _CHANGED, id="changed"),
        pytest.param(lambda path: path.unlink(), "is no longer there", id="removed"),
    ],
)
async def test_one_of_several_packed_files_that_changed_between_two_runs_is_named(
    tmp_path: Path, change: Change, words: str
) -> None:
    async with Simulator(SimulatorSettings.parse({"fail": {"auth": 1.0}, "fail_attempts": 0})) as sim:
        bench = Bench(tmp_path, sim.url)
        folder = tmp_path / "in"
        folder.mkdir()
        for name in ("a.jsonl.gz", "b.jsonl.gz"):
            (folder / name).write_bytes(gzip.compress(write_jsonl(tmp_path / "plain", texts(5, name)).read_bytes()))
        bench.batch(uri="in/", concurrency=1)
        assert (await bench.run()).code == 1
        change(folder / "b.jsonl.gz")
        sim.reset()
        ended = await bench.run()
        assert sim.stats.requests == 0
    _is_clear(ended, folder / "b.jsonl.gz", words)
