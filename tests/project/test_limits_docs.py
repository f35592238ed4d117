"""The manifests in docs/limits.md are valid, and its links lead somewhere."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import builders
from llmbatch_contract.llmendpoint import LLMEndpoint
from llmbatch_contract.spec import LLMBatch

_DOCS = Path(__file__).parents[2] / "docs"
_TEXT = (_DOCS / "limits.md").read_text()
_DOCUMENTS = [
    document for block in re.findall(r"```yaml\n(.*?)```", _TEXT, re.DOTALL) for document in yaml.safe_load_all(block)
]


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda document: document.get("kind") or ", ".join(document))
def test_a_manifest_or_a_part_of_one_is_valid(document: dict[str, Any]) -> None:
    match document.get("kind"):
        case "LLMEndpoint":
            LLMEndpoint.model_validate(document)
        case "LLMBatch":
            LLMBatch.model_validate(document)
        case _:
            pricing = {"pricing": {"inputPerMillion": 1}}
            builders.batch(**document, endpoint={"url": "https://api.example.com/v1", **pricing})


def test_both_batches_use_the_endpoint_that_is_shown() -> None:
    named = {d["metadata"]["name"] for d in _DOCUMENTS if d.get("kind") == "LLMEndpoint"}
    used = {d["spec"]["endpoint"]["ref"] for d in _DOCUMENTS if d.get("kind") == "LLMBatch"}
    assert used == named


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", _TEXT):
        path, _, anchor = target.partition("#")
        page = _DOCS / path if path else _DOCS / "limits.md"
        assert page.exists(), target
        assert not anchor or anchor in _anchors(page.read_text()), target


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
