"""Promises of the repository itself: its layout, its samples, what its pages say about `make`."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import yaml

from llmbatch_contract.spec import LLMBatch
from llmbatch_contract.validation import check_manifest

_ROOT = Path(__file__).parents[2]
_LOCAL = _ROOT / "deploy" / "samples" / "local"
_SAMPLES = sorted(_LOCAL.glob("*.yaml"))
_MADE_BY_THE_DEMO = {"packages.csv"}

# In two halves, so that this file does not name them.
_REGISTRY_HOSTS = ("pypi" + ".org", "files.python" + "hosted.org")
_NAMES_THE_DEFAULT_INDEX = _ROOT / "scripts" / "setup.py"


def _files() -> list[Path]:
    """The files of the repository: what git has or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := _ROOT / name).is_file()]


def _manifest(path: Path) -> LLMBatch:
    return check_manifest(yaml.safe_load(path.read_text()), str(path))


@pytest.mark.parametrize("folder", ["operator", "tests"])
def test_a_folder_that_would_hide_a_module_is_no_package(folder: str) -> None:
    top = [_ROOT / folder / "__init__.py"]
    below = (_ROOT / "tests").rglob("__init__.py") if folder == "tests" else []
    assert [path for path in (*top, *below) if path.exists()] == []


def test_python_started_in_the_root_finds_the_operator_module_of_the_standard_library() -> None:
    subprocess.run([sys.executable, "-c", "import operator; operator.eq"], cwd=_ROOT, check=True)


def test_names_of_test_files_are_unique() -> None:
    names = [path.name for path in (_ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_only_the_bootstrap_names_a_package_index_and_only_once() -> None:
    mentions = {
        str(path.relative_to(_ROOT)): count
        for path in _files()
        if (count := sum(path.read_bytes().count(host.encode()) for host in _REGISTRY_HOSTS))
    }
    assert mentions == {str(_NAMES_THE_DEFAULT_INDEX.relative_to(_ROOT)): 1}


def test_the_lock_file_pins_everything_with_digests() -> None:
    entries = re.split(r"\n(?=\S)", (_ROOT / "requirements.lock").read_text().strip())
    assert len(entries) > 30
    assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("path", _SAMPLES, ids=lambda path: path.name)
def test_a_sample_is_a_valid_manifest_named_like_its_file(path: Path) -> None:
    assert _manifest(path).metadata.name == path.stem


@pytest.mark.parametrize("path", _SAMPLES, ids=lambda path: path.name)
def test_the_input_of_a_sample_is_beside_it(path: Path) -> None:
    uri = _manifest(path).spec.input.uri
    assert uri is None or uri in _MADE_BY_THE_DEMO or (path.parent / uri).is_file()


def test_the_tickets_have_unique_ids_and_every_field_that_the_prompt_uses() -> None:
    spec = _manifest(_LOCAL / "tickets.yaml").spec
    with (_LOCAL / "tickets.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["ticket_id"] for row in rows}) == len(rows) >= 120
    assert spec.request is not None
    assert set(re.findall(r"{{ (\w+) }}", spec.request.prompt or "")) <= rows[0].keys()


def test_the_openai_sample_has_unique_ids() -> None:
    lines = (_LOCAL / "openai-batch.jsonl").read_bytes().splitlines()
    assert len({orjson.loads(line)["custom_id"] for line in lines}) == len(lines) == 5


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_make_target_that_a_page_names_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (_ROOT / "Makefile").read_text(), re.MULTILINE))
    code = re.findall(r"```.*?```|`[^`]+`", (_ROOT / page).read_text(), re.DOTALL)
    named = {name for text in code for name in re.findall(r"\bmake ([a-z]+)", text)}
    assert named <= targets
