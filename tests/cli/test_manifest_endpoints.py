"""A manifest file that holds the LLMEndpoint that its batch refers to."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from builders import Document
from llmbatch_cli.manifest import read_job, read_manifest
from llmbatch_contract.errors import ManifestError
from llmbatch_contract.spec import Limits

_PRICES = {"inputPerMillion": 1.0}


def _endpoint(name: str = "shared", **spec: Any) -> Document:
    return {
        "apiVersion": "llmbatch.dev/v1alpha1",
        "kind": "LLMEndpoint",
        "metadata": {"name": name},
        "spec": {"url": "https://llm.example/v1", **spec},
    }


def _batch(**spec: Any) -> Document:
    return {
        "apiVersion": "llmbatch.dev/v1alpha1",
        "kind": "LLMBatch",
        "metadata": {"name": "triage"},
        "spec": {
            "endpoint": {"ref": "shared"},
            "model": "small",
            "input": {"items": [{"text": "a"}]},
            "request": {"prompt": "{{ text }}"},
            **spec,
        },
    }


def _write(folder: Path, *documents: Document) -> Path:
    file = folder / "batch.yaml"
    file.write_text(yaml.safe_dump_all(documents, sort_keys=False))
    return file


def test_the_endpoint_of_the_file_takes_the_place_of_its_name(tmp_path: Path) -> None:
    shared = _endpoint(
        limits={"requestsPerMinute": 60.0}, apiKeySecret={"name": "openai"}, headers={"x-team": "a"},
        pricing={"*": {"inputPerMillion": 9.0}, "small": _PRICES},
    )  # fmt: skip
    endpoint = read_job(_write(tmp_path, _endpoint("other"), _batch(), shared)).batch.spec.endpoint
    assert (endpoint.ref, endpoint.base_url) == (None, "https://llm.example/v1")
    assert endpoint.limits == Limits(requests_per_minute=60)
    assert endpoint.headers == {"x-team": "a"}
    assert endpoint.pricing is not None
    assert endpoint.pricing.input_per_million == 1


@pytest.mark.parametrize(
    ("documents", "line", "sentence"),
    [
        pytest.param(
            [_batch()], 7, "spec.endpoint.ref: there is no LLMEndpoint shared in this file", id="no endpoint at all"
        ),
        pytest.param(
            [_batch(), _endpoint("other")], 7, "there is no LLMEndpoint shared in this file", id="another endpoint"
        ),
        pytest.param(
            [_batch(budget={"maxCost": 1.0}), _endpoint(pricing={"large": _PRICES})],
            15,
            "spec.budget.maxCost: needs prices: the LLMEndpoint shared has none for small",
            id="a budget in money, but no prices",
        ),
        pytest.param(
            [_batch(), _endpoint(limit={})], 21, "spec.limit: is unknown; did you mean limits?", id="a mistake"
        ),
    ],
)
def test_what_is_missing_is_told_with_its_line(
    tmp_path: Path, documents: list[Document], line: int, sentence: str
) -> None:
    file = _write(tmp_path, *documents)
    with pytest.raises(ManifestError) as raised:
        read_manifest(file)
    assert str(raised.value).startswith(f"{file}:{line}: ")
    assert sentence in str(raised.value)
