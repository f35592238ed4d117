"""A batch does not read what it would replace."""

from typing import Any

import pytest

from builders import Document, batch
from llmbatch_contract.errors import InputError
from llmbatch_worker.planning.apart import check_apart


def _check(uri: str, output: Document, **fields: Any) -> None:
    document = batch(uri="file:///in.jsonl", output=output, **fields)
    check_apart([uri], document.spec)


@pytest.mark.parametrize(
    ("uri", "output"),
    [
        pytest.param("file:///out/results.jsonl", {"uri": "file:///out"}, id="results in a folder"),
        pytest.param(
            "file:///out/a%20b/errors.jsonl", {"uri": "file:///out/a%20b/"}, id="errors in a folder with a space"
        ),
        pytest.param("s3://b/out/results/00003.parquet", {"uri": "s3://b/out"}, id="results of a shard in a bucket"),
        pytest.param("s3://b/results.csv.gz", {"uri": "s3://b"}, id="packed results at the top of a bucket"),
        pytest.param(
            "pvc://disk/out/summary.json", {"pvc": {"claimName": "disk", "path": "out/"}}, id="a summary on a volume"
        ),
    ],
)
def test_an_input_that_would_be_replaced_by_an_output_is_refused(uri: str, output: Document) -> None:
    with pytest.raises(InputError, match=r"lies where this batch writes its outputs, and would be replaced; give "):
        _check(uri, output)


@pytest.mark.parametrize(
    ("uri", "output"),
    [
        pytest.param("file:///out/items.jsonl", {"uri": "file:///out"}, id="another name in the same folder"),
        pytest.param("file:///out/old/results.jsonl", {"uri": "file:///out"}, id="results in a folder below"),
        pytest.param("file:///out2/results.jsonl", {"uri": "file:///out"}, id="a folder whose name begins the same"),
        pytest.param("s3://other/out/results.jsonl", {"uri": "s3://b/out"}, id="another bucket"),
        pytest.param("https://x/out/results.jsonl", {"uri": "s3://b/out"}, id="the web"),
        pytest.param(
            "pvc://other/out/results.jsonl", {"pvc": {"claimName": "disk", "path": "out"}}, id="another volume"
        ),
        pytest.param(
            "s3://b/out/results.jsonl",
            {"uri": "s3://b/out", "store": {"endpoint": "http://other:9000"}},
            id="another server",
        ),
    ],
)
def test_an_input_apart_from_the_outputs_is_read(uri: str, output: Document) -> None:
    _check(uri, output)
