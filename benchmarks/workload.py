"""What the benchmarks feed in: items of a given size, as files, and the manifests that ask about them."""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

from llmbatch_contract.job import Job
from llmbatch_contract.layout import work_folder
from llmbatch_contract.spec import API_VERSION, KIND, LLMBatch

if TYPE_CHECKING:
    from s3_servers import Bucket

SYSTEM = "You are a support agent. Say in one sentence what the customer wants."
PROMPT_BYTES = 1200
_WORDS = "the order number of my last parcel is not on the invoice that you sent me in March and nobody answers "
NOWHERE = "http://127.0.0.1:1/v1"
"""The endpoint of a job that sends nothing."""
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def items(count: int, item_bytes: int) -> Iterator[dict[str, Any]]:
    """Items that take about `item_bytes` each as a line of JSON."""
    around = len(orjson.dumps({"id": "item-00000000", "customer": 0, "text": ""}))
    text = (_WORDS * (item_bytes // len(_WORDS) + 1))[: max(1, item_bytes - around - 10)]
    for n in range(count):
        yield {"id": f"item-{n:08d}", "customer": n % 977, "text": f"{n:08d} {text}"}


def write_jsonl(path: Path, count: int, item_bytes: int) -> Path:
    """Items as JSON lines."""
    with path.open("wb", buffering=1 << 20) as file:
        file.writelines(orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE) for item in items(count, item_bytes))
    return path


def write_csv(path: Path, count: int, item_bytes: int) -> Path:
    """The same items as CSV; their texts hold no commas, quotes and newlines."""
    with path.open("w", buffering=1 << 20) as file:
        file.write("id,customer,text\n")
        file.writelines(f"{i['id']},{i['customer']},{i['text']}\n" for i in items(count, item_bytes))
    return path


def write_gzip(path: Path, source: Path) -> Path:
    """A gzip copy of a file."""
    with source.open("rb") as plain, gzip.open(path, "wb", compresslevel=1) as packed:
        while block := plain.read(1 << 20):
            packed.write(block)
    return path


def manifest(input_uri: str, url: str, output_uri: str, **spec: Any) -> dict[str, Any]:
    """A chat batch over items of this module; `spec` overrides fields of the spec."""
    fields = {
        "endpoint": {"url": url},
        "model": "m",
        "input": {"uri": input_uri, "idField": "id"},
        "request": {"system": SYSTEM, "prompt": "{{ text }}", "parameters": {"temperature": 0}},
        "output": {"uri": output_uri},
    }
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "bench"}, "spec": fields | spec}


def write_manifest(folder: Path, source: Path, url: str, **spec: Any) -> Path:
    """The manifest as a file (JSON is YAML); outputs go into `out` beside it."""
    path = folder / "batch.yaml"
    path.write_text(json.dumps(manifest(str(source), url, str(folder / "out"), **spec)))
    return path


def job(folder: Path, source: Path, url: str, **spec: Any) -> Job:
    """The same as the engine takes it."""
    output = (folder / "out").as_uri()
    batch = LLMBatch.model_validate(manifest(source.as_uri(), url, output, **spec))
    return Job(batch=batch, store_uri=(folder / "state").as_uri(), output_uri=output)


def job_of_form(folder: Path, source: Path, form: str) -> Job:
    """A job for finalize, with the format of its output."""
    return job(folder, source, NOWHERE, output={"uri": (folder / "out").as_uri(), "format": form})


def job_in_store(
    bucket: "Bucket", source_uri: str, url: str, *, output: Mapping[str, Any] = _NOTHING, **spec: Any
) -> Job:
    """A job whose input, working objects and outputs are all in a bucket, as on a cluster."""
    output_uri = bucket.uri("out")
    fields = manifest(source_uri, url, output_uri, output={"uri": output_uri, **output}, **spec)
    work_uri = work_folder(output_uri, "bench")
    return Job(batch=LLMBatch.model_validate(fields), store_uri=work_uri, output_uri=output_uri)


def text_of(wanted: Job) -> str:
    """A job as a parameter of `processes.measure`."""
    return wanted.dump_json().decode()
