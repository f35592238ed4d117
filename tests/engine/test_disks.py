"""Disks that are full or may not be written: a clear error, nothing lost, and a way on.

The disks are small tmpfs in a mount namespace of one shell, which runs the command twice and saves what is there.
"""

import gzip
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders import Document
from engine.local_run import Bench, Ended, read_lines
from llmbatch_cli.simulator import Simulator, SimulatorSettings

ITEMS = 400
_UNSHARE = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
_FULL_THEN_LARGE = """
set -e
mount -t tmpfs -o size=$SIZE tmpfs out
set +e
"$@" >first.out 2>first.err
echo $? >first.code
cp -r out/. first
mount -o remount,size=64m out || exit 99
"$@"
code=$?
cp -r out/. second
exit $code
"""
_READ_ONLY = """
set -e
mount --bind out out
mount -o remount,bind,ro out
exec "$@"
"""


def _may_mount() -> bool:
    command = [*_UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False, timeout=10).returncode == 0


pytestmark = pytest.mark.skipif(not _may_mount(), reason="needs the right to mount in a namespace of its own")


@dataclass(frozen=True)
class _Twice:
    """The command on a full disk, then on a larger one."""

    first: Ended
    second: Ended


async def _in_namespace(bench: Bench, script: str, **env: str) -> Ended:
    bench.env.update(env)
    async with bench.started(prefix=(*_UNSHARE, "sh", "-c", script, "sh")) as process:
        return await process.ended()


async def _run_twice(bench: Bench, size: str) -> _Twice:
    for name in ("out", "first", "second"):
        (bench.folder / name).mkdir()
    second = await _in_namespace(bench, _FULL_THEN_LARGE, SIZE=size)
    out, err, code = ((bench.folder / f"first.{end}").read_text() for end in ("out", "err", "code"))
    return _Twice(Ended(int(code), out, err, 0.0), second)


def _input(folder: Path, name: str) -> None:
    lines = "".join(json.dumps({"text": f"item {n} " + "x" * 3000}) + "\n" for n in range(ITEMS)).encode()
    (folder / name).write_bytes(gzip.compress(lines) if name.endswith(".gz") else lines)


def _records(folder: Path) -> list[Document]:
    return [r for part in sorted(folder.glob(".llmbatch/shards/*/part-*")) for r in read_lines(part)]


def _leftovers(folder: Path) -> list[str]:
    """Halves of objects that were being written."""
    return [str(path) for path in folder.rglob("*#*")]


@pytest.mark.parametrize(
    ("name", "size", "least_written"),
    [
        pytest.param("in.jsonl.gz", "1m", 0, id="while the input is unpacked"),
        pytest.param("in.jsonl", "1m", 50, id="while answers are written"),
        pytest.param("in.jsonl", "2m", ITEMS, id="while outputs are written"),
    ],
)
async def test_a_full_disk_is_a_clear_error_and_with_space_a_second_run_asks_only_the_rest(
    tmp_path: Path, name: str, size: str, least_written: int
) -> None:
    async with Simulator(SimulatorSettings.parse({"latency": "10ms"})) as sim:
        bench = Bench(tmp_path, sim.url)
        _input(tmp_path, name)
        bench.batch(uri=name, concurrency=4, shardSize=25, output={"uri": "out", "includeInput": True})
        ended = await _run_twice(bench, size)
    assert ended.first.code == 1, str(ended.first)
    assert "no space left; free some and run again" in ended.first.err
    assert "Traceback" not in ended.first.err
    assert not (tmp_path / "first" / "results.jsonl").exists()
    assert ended.second.code == 0, str(ended.second)
    assert [r["index"] for r in read_lines(tmp_path / "second" / "results.jsonl")] == list(range(ITEMS))
    written = _records(tmp_path / "first")
    assert len(written) >= least_written
    uid = json.loads((tmp_path / "second" / "summary.json").read_text())["uid"]
    assert [r["index"] for r in written if sim.stats.keys[f"{uid}-{r['index']}"] != 1] == []
    assert _leftovers(tmp_path / "second") == []


async def test_a_read_only_output_folder_is_a_clear_error_and_nothing_is_sent(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url)
        _input(tmp_path, "in.jsonl")
        bench.output.mkdir()
        bench.batch(uri="in.jsonl")
        ended = await _in_namespace(bench, _READ_ONLY)
        assert sim.stats.requests == 0
    assert ended.code == 1, str(ended)
    assert ended.err.startswith("error: cannot ")
    assert str(bench.output) in ended.err
    assert "read-only" in ended.err
    assert "Traceback" not in ended.err


async def test_an_output_folder_that_became_read_only_keeps_what_is_there_and_sends_nothing(tmp_path: Path) -> None:
    async with Simulator(SimulatorSettings.parse({"fail": {"auth": 1.0}, "fail_attempts": 0})) as sim:
        bench = Bench(tmp_path, sim.url)
        _input(tmp_path, "in.jsonl")
        bench.batch(uri="in.jsonl", concurrency=1)
        assert (await bench.run()).code == 1
        sim.update(fail={})
        sim.reset()
        ended = await _in_namespace(bench, _READ_ONLY)
        assert ended.code == 1, str(ended)
        assert sim.stats.requests == 0
        again = await bench.run()
        assert again.code == 0, str(again)
        assert sim.stats.requests == ITEMS
