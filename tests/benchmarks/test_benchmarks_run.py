"""Every benchmark works at its smallest size and has its section on the page. What they measure decides nothing.

Those of stores have a server of their own. Those that need a cluster are tried in test_benchmarks_on_cluster.py.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.local_run import environment

pytest_plugins = ["s3_fixture"]

_ROOT = Path(__file__).parents[2]
_PAGE = _ROOT / "docs" / "benchmarks.md"
_NAMES = ["throughput", "telemetry", "memory", "planning", "limits", "sharing", "finalize"]
_IN_STORE = ["sources", "sinks", "growth", "requests", "job"]
_ON_CLUSTER = ["cluster", "calls", "operator"]


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(
        command, cwd=_ROOT, capture_output=True, text=True, timeout=110, check=False, env=environment()
    )


def _section(page: Path, name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", page.read_text(), re.DOTALL)
    assert found is not None, f"no section for {name}"
    return found[1]


@pytest.fixture(scope="module")
def written_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the page after all benchmarks without a cluster have run."""
    page = Path(shutil.copy(_PAGE, tmp_path_factory.mktemp("page")))
    ended = _run(*_NAMES, "--smallest", "--page", str(page))
    assert ended.returncode == 0, ended.stderr
    return page


@pytest.mark.usefixtures("versitygw_url")
@pytest.mark.parametrize("name", _IN_STORE)
def test_a_benchmark_in_a_store_runs_and_fills_its_section(name: str, tmp_path: Path) -> None:
    page = Path(shutil.copy(_PAGE, tmp_path))
    ended = _run(name, "--smallest", "--page", str(page))
    assert ended.returncode == 0, ended.stderr
    content = _section(page, name)
    assert "smallest sizes" in content
    assert "\n|--" in content
    assert "/tmp" not in content


@pytest.mark.parametrize("name", _NAMES)
def test_a_benchmark_runs_and_fills_its_section(name: str, written_page: Path) -> None:
    content = _section(written_page, name)
    assert "smallest sizes" in content
    assert "\n|--" in content


def test_results_tell_no_paths_of_the_machine(written_page: Path) -> None:
    written = "".join(_section(written_page, name) for name in _NAMES)
    assert str(_ROOT) not in written
    assert "/tmp" not in written


def test_only_what_ran_is_rewritten(tmp_path: Path) -> None:
    page = Path(shutil.copy(_PAGE, tmp_path))
    assert _run("planning", "--smallest", "--page", str(page)).returncode == 0
    changed = [name for name in _NAMES if _section(page, name) != _section(_PAGE, name)]
    assert changed == ["planning"]


def test_the_page_has_a_section_for_each_benchmark() -> None:
    described = _run("--help").stdout
    marked = re.findall(r"^<!-- (\w+) -->$", _PAGE.read_text(), re.MULTILINE)
    assert marked == _NAMES + _IN_STORE + _ON_CLUSTER
    assert ", ".join(marked) in " ".join(described.split())


def test_an_unknown_benchmark_is_refused() -> None:
    assert _run("speed").returncode == 2
