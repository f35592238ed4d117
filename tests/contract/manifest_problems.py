"""What is wrong with a manifest, for the tests of its errors."""

from typing import Any

import pytest

from builders import manifest, with_field
from llmbatch_contract.errors import ManifestError
from llmbatch_contract.validation import check_manifest


def problems(document: object) -> list[tuple[str, str]]:
    """Path and sentence of each problem of a parsed manifest that must be refused."""
    with pytest.raises(ManifestError) as caught:
        check_manifest(document, "batch.yaml")
    return [(p.path, p.message) for p in caught.value.problems]


def problems_with(path: str, value: Any) -> list[tuple[str, str]]:
    """The problems of a manifest that would be valid but for one field."""
    return problems(with_field(manifest(), path, value))
