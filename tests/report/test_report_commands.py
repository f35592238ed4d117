"""`llmbatch run --report` writes the page about a run, whenever it was finished, and says early why it cannot."""

from pathlib import Path

import pytest

from engine.local_run import Bench, Ended, texts
from llmbatch_cli.simulator import Simulator, SimulatorSettings

_SIMULATOR = SimulatorSettings.parse({})


async def _ran(bench: Bench, *arguments: str) -> Ended:
    return await bench.run("--report", "report.html", *arguments)


@pytest.mark.parametrize(
    ("last", "code", "sentence"),
    [
        pytest.param("fine", 0, "All 4 items succeeded.", id="all succeeded"),
        pytest.param("[[simulate: refusal]]", 3, "3 of 4 items succeeded, 1 failed.", id="one failed"),
        pytest.param("[[simulate: auth]]", 1, "Stopped early:", id="stopped before the end"),
    ],
)
async def test_a_run_ends_with_its_page(tmp_path: Path, last: str, code: int, sentence: str) -> None:
    async with Simulator(_SIMULATOR) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=[*texts(3), {"text": last}])
        ended = await _ran(bench)
    assert ended.code == code, str(ended)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert sentence in html
    assert bench.summary()["uid"] in html


async def test_a_run_that_was_finished_before_has_a_page_too(tmp_path: Path) -> None:
    async with Simulator(_SIMULATOR) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(3))
        assert (await bench.run()).code == 0
        (tmp_path / "report.html").write_text("older")
        assert (await _ran(bench)).code == 0
        asked = sim.stats.requests
        (bench.output / "report.json").unlink()
        without = await _ran(bench)
        (bench.output / "summary.json").unlink()
        again = await _ran(bench)
        assert sim.stats.requests == asked
    assert "All 3 items succeeded." in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "was finished by a version of llmbatch that wrote no report.json; remove" in without.err
    assert again.code == 0, str(again)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        pytest.param("nowhere/report.html", "--report: there is no folder nowhere", id="no folder"),
        pytest.param(".", "--report: . is a folder", id="a folder"),
    ],
)
async def test_a_place_that_is_none_is_told_before_anything_is_asked(tmp_path: Path, place: str, sentence: str) -> None:
    async with Simulator(_SIMULATOR) as sim:
        bench = Bench(tmp_path, sim.url)
        bench.batch(items=texts(1))
        ended = await bench.run("--report", place)
        assert (ended.code, sim.stats.requests) == (2, 0)
    assert sentence in ended.err
