"""Finalize is killed at any moment: nothing half-written is to be seen, and the next one writes the same bytes."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from builders import Document
from outputs.finished import ANSWER, Finished, finished
from s3_servers import Bucket
from sharded import CREATED_AT, letter, result

pytest_plugins = ["s3_fixture"]

_PROCESS = Path(__file__).with_name("finalizing_process.py")
_ITEMS, _SHARD = 2400, 200
_KILLS = 3
_FORMS = [
    pytest.param({}, id="jsonl"),
    pytest.param({"compression": "gzip", "layout": "sharded"}, id="gzip, sharded"),
    pytest.param({"format": "parquet", "layout": "sharded"}, id="parquet, sharded"),
]


def _record(number: int) -> Document:
    if number % 10 == 0:
        return letter(number)
    answer = {"category": "bug", "stars": number}
    return result(number, output=answer, completed_at=CREATED_AT, note="x" * 700)


def _killed_and_finished(made: Finished, folder: Path, environment: Mapping[str, str]) -> None:
    """Kill finalize some times, look each time, and let it end at last."""
    whole = finished_bytes(made)
    for name in whole:
        made.output_store.remove([name])
    (folder / "job.json").write_bytes(made.job.dump_json())
    took_s = _run(folder, environment, None)
    assert made.objects() == whole
    moments = random.Random(7)
    for _ in range(_KILLS):
        for name in whole:
            made.output_store.remove([name])
        _run(folder, environment, moments.uniform(0, took_s))
        seen = made.objects()
        assert {name: data for name, data in seen.items() if whole.get(name) != data} == {}
        if "summary.json" in seen:
            assert seen == whole
        if "results/_manifest.json" in seen:
            assert {n for n in whole if n.startswith("results/")} <= seen.keys()
        _run(folder, environment, None)
        assert made.objects() == whole


def finished_bytes(made: Finished) -> dict[str, bytes]:
    """What is there when nobody kills anything."""
    made.fill(_record, parts=3)
    made.finalize()
    return made.objects()


def _run(folder: Path, environment: Mapping[str, str], kill_after_s: float | None) -> float:
    """Finalize in a process; returns how long it took from its beginning on."""
    process = subprocess.Popen(
        [sys.executable, _PROCESS, folder / "job.json"], stdout=subprocess.PIPE, env={**os.environ, **environment}
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begins\n"
        started = time.monotonic()
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            process.kill()
            return time.monotonic() - started
        assert process.stdout.readline() == b"done\n"
        return time.monotonic() - started


@pytest.mark.parametrize("output", _FORMS)
def test_a_finalize_that_is_killed_leaves_only_whole_outputs_in_a_folder(
    tmp_path: Path, output: dict[str, Any]
) -> None:
    made = finished(tmp_path, _ITEMS, _SHARD, request={"responseSchema": ANSWER}, output=output)
    _killed_and_finished(made, tmp_path, {})


@pytest.mark.parametrize("output", _FORMS[:2])
def test_a_finalize_that_is_killed_leaves_only_whole_outputs_in_a_bucket(
    tmp_path: Path, versitygw: Bucket, output: dict[str, Any]
) -> None:
    made = finished(tmp_path, _ITEMS, _SHARD, request={"responseSchema": ANSWER}, output=output, bucket=versitygw)
    _killed_and_finished(made, tmp_path, versitygw.environment)
