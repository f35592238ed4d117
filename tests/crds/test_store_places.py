"""Where items and results may be, as the API server checks it: in the words of the command line."""

from typing import Any

import pytest

from builders import with_field
from contract.manifest_problems import problems
from crd_fixture import Batches, says, suspended

pytest_plugins = ["cluster_fixture", "crd_fixture"]

_INSIDE = "must be a path inside the volume: neither with / at its start nor with .. in it"
_NO_BUCKET = "must name a bucket or container, as in s3://bucket/folder/"
_NO_HOST = "must name a host, as in https://example.com/items.jsonl"


def _volume(path: str) -> dict[str, Any]:
    return {"claimName": "data", "path": path}


@pytest.mark.parametrize(
    ("part", "given", "path", "message"),
    [
        *(
            pytest.param(part, {"pvc": _volume(path)}, f"spec.{part}.pvc.path", _INSIDE, id=f"{part} at {path!r}")
            for part in ("input", "output")
            for path in ("", "/a", "..", "a/../b", "a\nb")
        ),
        *(
            pytest.param("input", {"uri": uri}, "spec.input.uri", _NO_BUCKET, id=uri)
            for uri in ("s3://", "gs:///a", "az://?a")
        ),
        *(pytest.param("input", {"uri": uri}, "spec.input.uri", _NO_HOST, id=uri) for uri in ("https://", "http:///a")),
    ],
)
def test_a_wrong_place_is_refused_by_both_in_the_same_words(
    shared_batches: Batches, part: str, given: dict[str, Any], path: str, message: str
) -> None:
    document = with_field(suspended(), f"spec.{part}", given)
    assert (path, message) in problems(document)
    assert says(shared_batches.refusal(document), path, message)


@pytest.mark.parametrize(
    ("part", "given"),
    [
        *(("input", {"pvc": _volume(path)}) for path in ("a", ".", "a/**/é.csv", "..a/b..", "a b/")),
        *(("input", {"uri": uri}) for uri in ("s3://b/k", "gs://b", "az://c/a@b", "https://host:8443/a?sig=x")),
        ("output", {"pvc": _volume("out")}),
    ],
)
def test_a_place_is_taken_by_the_api_server(shared_batches: Batches, part: str, given: dict[str, Any]) -> None:
    shared_batches.try_out(with_field(suspended(), f"spec.{part}", given))


@pytest.mark.parametrize("batch_size", [0, 10_001])
def test_a_delivery_has_its_bounds(shared_batches: Batches, batch_size: int) -> None:
    deliver = {"url": "https://bridge.example.com/", "batchSize": batch_size}
    assert "spec.deliver.batchSize" in shared_batches.refusal(with_field(suspended(), "spec.deliver", deliver))
    shared_batches.try_out(with_field(suspended(), "spec.deliver", deliver | {"batchSize": 100}))
