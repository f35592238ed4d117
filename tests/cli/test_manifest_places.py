"""Where a manifest's input, outputs and working files are, on this machine."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from builders import Document, manifest
from llmbatch_cli.manifest import read_job
from llmbatch_contract.errors import ManifestError
from llmbatch_contract.job import Job


def read(folder: Path, state: Path | None = None, **fields: Any) -> Job:
    path = folder / "batch.yaml"
    path.write_text(yaml.safe_dump(manifest(**fields)))
    return read_job(path, state)


@pytest.mark.parametrize(
    ("given", "uri"),
    [
        pytest.param("tickets.csv", "file://{}/tickets.csv", id="a path is relative to the manifest"),
        pytest.param("day/*.csv", "file://{}/day/%2A.csv", id="a pattern"),
        pytest.param("day/", "file://{}/day/", id="a folder"),
        pytest.param("/data/in.csv", "file:///data/in.csv", id="an absolute path"),
        pytest.param("file:///data/in.csv", "file:///data/in.csv", id="a file URI"),
        pytest.param("s3://bucket/in/*.csv", "s3://bucket/in/*.csv", id="a store"),
        pytest.param("https://host/in.csv?key=1", "https://host/in.csv?key=1", id="a web server"),
    ],
)
def test_an_input_is_named_in_full(tmp_path: Path, given: str, uri: str) -> None:
    assert read(tmp_path, input={"uri": given}).batch.spec.input.uri == uri.format(tmp_path)


@pytest.mark.parametrize(
    ("output", "place", "state"),
    [
        pytest.param({}, "file://{}/triage-output", "file://{}/triage-output/.llmbatch", id="by default"),
        pytest.param({"uri": "out/"}, "file://{}/out/", "file://{}/out/.llmbatch", id="a folder"),
        pytest.param({"uri": "s3://bucket/out/"}, "s3://bucket/out/", "file://{}/triage-state", id="a store"),
        pytest.param({"uri": "az://box/out"}, "az://box/out", "file://{}/triage-state", id="another store"),
    ],
)
def test_working_files_are_in_the_output_or_beside_the_manifest(
    tmp_path: Path, output: Document, place: str, state: str
) -> None:
    job = read(tmp_path, output=output)
    assert (job.output_uri, job.store_uri) == (place.format(tmp_path), state.format(tmp_path))
    assert read(tmp_path, tmp_path / "mine", output=output).store_uri == f"file://{tmp_path}/mine"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        pytest.param(
            {"input": {"pvc": {"claimName": "data", "path": "in.csv"}}},
            "spec.input.pvc: exists on a cluster only; give the path of the files as uri",
            id="items on a volume",
        ),
        pytest.param(
            {"output": {"pvc": {"claimName": "data", "path": "out"}}},
            "spec.output.pvc: exists on a cluster only; give the path of a folder as uri",
            id="outputs on a volume",
        ),
        pytest.param({"output": {"uri": "https://host/out"}}, "spec.output.uri: ", id="outputs on a web server"),
        pytest.param({"input": {"uri": "hdfs://a/b"}}, "spec.input.uri: ", id="a scheme that is not known"),
    ],
)
def test_what_is_not_there_on_this_machine_is_a_clear_error(tmp_path: Path, fields: Document, sentence: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, **fields)
    assert sentence in str(caught.value)
