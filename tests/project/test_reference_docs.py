"""docs/reference.md says what the models say."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from builders import batch
from llmbatch_contract.categories import Category
from llmbatch_contract.exits import Exit
from llmbatch_contract.job import Job
from llmbatch_contract.llmendpoint import LLMEndpoint, LLMEndpointStatus
from llmbatch_contract.plan import Plan, PlannedInput
from llmbatch_contract.progress import Totals
from llmbatch_contract.spec import InputFormat, LLMBatch
from llmbatch_contract.trace import trace_of
from llmbatch_worker.finalizing.summary import Outcome, Written, summarize

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "reference.md").read_text()


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _fields(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, str | None]]:
    """Path and description of every field of the manifest, by another way than the generator's."""
    for name, field in model.model_fields.items():
        yield f"{path}{field.alias or name}", field.description
        words = str(field.annotation)
        each = "[]" if "list[" in words else ".*" if "dict[" in words else ""
        for inner in _models_in(field.annotation):
            yield from _fields(inner, f"{path}{field.alias or name}{each}.")


def test_the_page_is_what_the_generator_writes() -> None:
    command = [sys.executable, str(_ROOT / "scripts" / "reference.py"), "--print"]
    written = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert written == _PAGE, "run `make docs`"


@pytest.mark.parametrize(
    ("path", "description"),
    [
        pytest.param(*field, id=field[0])
        for field in (
            *_fields(LLMBatch),
            *_fields(LLMEndpoint, "llmendpoint."),
            *_fields(LLMEndpointStatus, "llmendpoint.status."),
        )
    ],
)
def test_every_field_has_a_description_and_a_row(path: str, description: str | None) -> None:
    assert description
    assert f"| `{path}` |" in _PAGE


@pytest.mark.parametrize("category", Category)
def test_every_failure_category_has_a_row(category: Category) -> None:
    assert f"| `{category.value}` |" in _PAGE


@pytest.mark.parametrize("code", Exit)
def test_every_exit_code_has_a_row(code: Exit) -> None:
    assert f"| {code.value} |" in _PAGE


def test_the_table_of_the_summary_has_what_a_summary_has() -> None:
    section = _PAGE.split("\n### `summary.json`")[1].split("\n##")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(_summary())


def _summary() -> dict[str, Any]:
    """The summary of a batch without items."""
    planned = PlannedInput(uri="x", unpacked=False, size=0, sha256="", format=InputFormat.CSV, fields=[])
    plan = Plan(
        uid="1",
        trace=trace_of("1"),
        created_at="",
        version="",
        asked={},
        input=planned,
        items=0,
        shards=[],
        input_tokens_estimate=0,
    )
    written = Written(uri="y", records=0, size=0, sha256="", name="results.jsonl")
    outcome = Outcome(totals=Totals(), results=written, errors=written, stop=None, completed_at="")
    return summarize(Job(batch=batch(), store_uri="s", output_uri="o"), plan, outcome, 0)


def test_every_link_within_the_page_leads_somewhere() -> None:
    anchors = {_anchor(line.lstrip("# ")) for line in _PAGE.splitlines() if line.startswith("#")}
    links = {part.split(")")[0] for part in _PAGE.split("](#")[1:]}
    assert links <= anchors


def _anchor(heading: str) -> str:
    """The anchor that a Markdown viewer makes of a heading."""
    kept = "".join(c for c in heading.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")
