"""Every YAML block of the README and of the pages is one that a user can copy: a whole manifest, or a part of one."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import builders
from llmbatch_contract.llmendpoint import LLMEndpoint
from llmbatch_contract.spec import LLMBatch, LLMBatchSpec

_ROOT = Path(__file__).parents[2]
_PAGES = [_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md"))]
_FIELDS = {field.alias or name for name, field in LLMBatchSpec.model_fields.items()}
_OF_KUBERNETES = {"ServiceAccount", "Kustomization", "ConfigMap", "Secret", "PersistentVolume", "PersistentVolumeClaim"}
_OTHERS = {("components",), ("images",), ("metadata",)}
"""Parts of a kustomization.yaml, and of a ServiceAccount."""

Document = dict[str, Any]


def _documents() -> Iterator[Any]:
    for page in _PAGES:
        text = page.read_text()
        for block in re.finditer(r"^```ya?ml\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            line = text.count("\n", 0, block.start()) + 1
            for document in yaml.safe_load_all(block[1]):
                yield pytest.param(document, id=f"{page.name}:{line}")


@pytest.mark.parametrize("document", list(_documents()))
def test_a_block_is_valid(document: Document) -> None:
    match document.get("kind"):
        case "LLMBatch":
            LLMBatch.model_validate(document)
        case "LLMEndpoint":
            LLMEndpoint.model_validate(document)
        case None if tuple(document) not in _OTHERS:
            _check_part(document.get("spec", document))
        case kind:
            assert kind is None or kind in _OF_KUBERNETES


def _check_part(fields: Document) -> None:
    """Of the spec of a batch, whose other fields may be anything."""
    assert fields.keys() <= _FIELDS
    endpoint = {"pricing": {"inputPerMillion": 1}} | fields.get("endpoint", {})
    builders.batch(**fields | {"endpoint": endpoint})


def test_pages_with_manifests_are_found() -> None:
    pages = {str(param.id).partition(":")[0] for param in _documents()}
    assert {"README.md", "inputs.md", "outputs.md", "stores.md", "deliver.md", "limits.md", "notify.md"} <= pages
