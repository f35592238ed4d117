"""What the API server refuses, and that it says so in the words of the command line."""

import re
from typing import Any

import pytest

from builders import Document, with_field, without_field
from contract.manifest_problems import problems
from crd_fixture import Batches, says, suspended
from llmbatch_contract.validation import check_manifest

pytest_plugins = ["cluster_fixture", "crd_fixture"]

_ASK = {"role": "user", "content": "Hello"}
_URL = "must start with http:// or https:// and name a host, as in https://api.openai.com/v1"
_HOST = "has no valid host and port"
_PASSWORD = "must not hold a user or password: use apiKeySecret"
_NAME = "must be at most 63 lower-case letters, digits and '-', as in my-batch"
_CONCURRENCY = "must be 'auto' or a whole number from 1 to 4096"
_QUANTITY = "must be a quantity, as in 500m or 2Gi"
_ONE_SOURCE = "must have exactly one of items, uri, pvc, configMap and deadLettersOf"
_TAKEN = "is set by LLMBatch itself; remove it"
_LOCAL = "files of a laptop do not exist on a cluster; use pvc, configMap, or a uri with s3, gs, az or https"
_NO_FOLDER = "on a cluster must start with s3://, gs:// or az://; or use pvc, or leave it out"
_STORES_ONLY = "goes with a uri that starts with s3://, gs:// or az://"
_PATH = "must be a path inside the volume: neither with / at its start nor with .. in it"
_NO_BUCKET = "must name a bucket or container, as in s3://bucket/folder/"
_FIXED_FORM = "the form of OpenAI's files is fixed; remove it"
_ONE_FORM = "needs either url, or ref with the name of an LLMEndpoint"
_REFERENCE = "must be the name of an LLMEndpoint: at most 63 lower-case letters, digits and '-'"
_CLOCK = "must be a time of day from 00:00 to 23:59, as in 22:00; put quotes around it"
_ITEMS = [{"body": "b"}]

_TAKEN_PARAMETERS: list[tuple[str, object, Document]] = [
    ("model", "gpt-4.1", {}),
    ("messages", [], {}),
    ("prompt", "a", {}),
    ("input", ["a"], {}),
    ("stream", True, {}),
    ("response_format", {"type": "json_object"}, {"responseSchema": {"type": "object"}}),
    ("text", {"format": {}}, {"responseSchema": {"type": "object"}}),
    ("instructions", "a", {"system": "b"}),
]


def _served_path(path: str) -> str:
    """The path as an API server writes it: names in a map stand in brackets."""
    return re.sub(r"(parameters|requests|limits)\.(\w+)$", r"\1[\2]", path)


@pytest.mark.parametrize(
    ("field", "value", "path", "message"),
    [
        pytest.param("spec.endpoint.url", "api.example.com/v1", "", _URL, id="a URL without a scheme"),
        pytest.param("spec.endpoint.url", "ftp://example.com", "", _URL, id="a URL of another kind"),
        pytest.param("spec.endpoint.url", "https://exa mple.com/v1", "", _URL, id="a URL with a space"),
        pytest.param("spec.endpoint.url", "https://example.com:http/v1", "", _HOST, id="a port of letters"),
        pytest.param("spec.endpoint.url", "https://example.com:0/v1", "", _HOST, id="port 0"),
        pytest.param("spec.endpoint.url", "https://me:secret@example.com/v1", "", _PASSWORD, id="a password in a URL"),
        pytest.param(
            "spec.endpoint.headers",
            {"X-Team": "a", "AUTHORIZATION": "Bearer x"},
            "",
            "AUTHORIZATION holds a key, which belongs into a Secret: use apiKeySecret",
            id="a key among the headers",
        ),
        pytest.param("spec.endpoint.headers", {"a b": "c"}, "", "'a b' is no name of a header", id="no header's name"),
        pytest.param(
            "spec.endpoint.headers",
            {"X-Team": "Süd"},
            "",
            "X-Team may hold only printable ASCII characters",
            id="a header that cannot be sent",
        ),
        pytest.param("spec.concurrency", 0, "", _CONCURRENCY, id="no concurrency"),
        pytest.param("spec.concurrency", 5000, "", _CONCURRENCY, id="a very high concurrency"),
        pytest.param("spec.concurrency", "many", "", _CONCURRENCY, id="a concurrency in words"),
        pytest.param("spec.input", {}, "", _ONE_SOURCE, id="no input"),
        pytest.param(
            "spec.input", {"items": _ITEMS, "configMap": {"name": "a", "key": "b"}}, "", _ONE_SOURCE, id="two inputs"
        ),
        pytest.param(
            "spec.input",
            {"items": _ITEMS, "format": "csv"},
            "spec.input.format",
            "inline items are objects, csv and parquet do not apply; remove it",
            id="items as csv",
        ),
        pytest.param(
            "spec.input",
            {"items": _ITEMS, "format": "parquet"},
            "spec.input.format",
            "inline items are objects, csv and parquet do not apply; remove it",
            id="items as Parquet",
        ),
        pytest.param("spec.input", {"uri": "s3://"}, "spec.input.uri", _NO_BUCKET, id="no bucket"),
        pytest.param(
            "spec.input",
            {"uri": "https://me:secret@example.com/a.csv"},
            "spec.input.uri",
            "must not hold a user or password: use credentialsSecret",
            id="a password in the URI of an input",
        ),
        pytest.param(
            "spec.input",
            {"uri": "https://example.com/a.csv", "credentialsSecret": {"name": "a"}},
            "spec.input.credentialsSecret",
            _STORES_ONLY,
            id="credentials for a web server",
        ),
        pytest.param(
            "spec.input",
            {"pvc": {"claimName": "a", "path": "b"}, "store": {"region": "eu-central-1"}},
            "spec.input.store",
            _STORES_ONLY,
            id="a region for a volume",
        ),
        *[
            pytest.param(
                "spec.input", {"pvc": {"claimName": "a", "path": path}}, "spec.input.pvc.path", _PATH, id=f"path {path}"
            )
            for path in ("/etc/passwd", "../other", "a/../../b")
        ],
        pytest.param(
            "spec.input",
            {"configMap": {"name": "a", "key": "b"}, "format": "openai", "idField": "c"},
            "spec.input.idField",
            "the id of an openai input is its custom_id; remove it",
            id="an idField with openai",
        ),
        pytest.param(
            "spec.input",
            {"configMap": {"name": "a", "key": "b"}, "format": "openai"},
            "spec.request",
            "an input of format openai holds whole requests; remove it",
            id="a request with openai",
        ),
        pytest.param("spec.request", {"system": "a"}, "", "must have prompt or messages", id="nothing to ask"),
        pytest.param(
            "spec.request",
            {"prompt": "a", "messages": [_ASK]},
            "spec.request.messages",
            "has the whole conversation; remove it, or system and prompt",
            id="prompt and messages",
        ),
        pytest.param(
            "spec.request",
            {"api": "embeddings", "prompt": "a", "system": "b"},
            "spec.request.api",
            "embeddings takes a prompt only, no system and no messages",
            id="a system message for embeddings",
        ),
        pytest.param(
            "spec.request",
            {"api": "completions", "messages": [_ASK]},
            "spec.request.api",
            "completions takes a prompt only, no system and no messages",
            id="messages for completions",
        ),
        pytest.param(
            "spec.request",
            {"api": "embeddings", "prompt": "a", "responseSchema": {"type": "object"}},
            "spec.request.responseSchema",
            "needs api chat or responses, not embeddings",
            id="a schema for embeddings",
        ),
        *[
            pytest.param(
                "spec.request",
                {"prompt": "a", "parameters": {"temperature": 0, name: value}, **others},
                f"spec.request.parameters.{name}",
                _TAKEN,
                id=f"{name} among the parameters",
            )
            for name, value, others in _TAKEN_PARAMETERS
        ],
        pytest.param(
            "spec.output",
            {"format": "openai", "includeInput": True},
            "spec.output.includeInput",
            _FIXED_FORM,
            id="the input in results of OpenAI's form",
        ),
        pytest.param(
            "spec.output",
            {"format": "openai", "fields": ["id"]},
            "spec.output.fields",
            _FIXED_FORM,
            id="fields in results of OpenAI's form",
        ),
        pytest.param(
            "spec.output",
            {"format": "parquet", "compression": "zstd"},
            "spec.output.compression",
            "parquet is packed already; remove it",
            id="packed Parquet",
        ),
        pytest.param(
            "spec.output",
            {"uri": "s3://a", "pvc": {"claimName": "a", "path": "b"}},
            "spec.output.pvc",
            "has no uri beside it; give one of them",
            id="two places for the output",
        ),
        pytest.param(
            "spec.output",
            {"credentialsSecret": {"name": "a"}},
            "spec.output.credentialsSecret",
            _STORES_ONLY,
            id="credentials for the built-in store",
        ),
        pytest.param(
            "spec.output",
            {"uri": "s3://a", "store": {"endpoint": "minio:9000"}},
            "spec.output.store.endpoint",
            _URL,
            id="a server without a scheme",
        ),
        pytest.param("spec.endpoint", {}, "", _ONE_FORM, id="no endpoint"),
        pytest.param("spec.endpoint", {"ref": "a", "url": "https://example.com/v1"}, "", _ONE_FORM, id="two endpoints"),
        pytest.param(
            "spec.endpoint",
            {"ref": "openai", "limits": {"requestsPerMinute": 5}},
            "spec.endpoint.ref",
            "stands alone: URL, key, headers, limits and pricing are those of the LLMEndpoint",
            id="limits beside a reference",
        ),
        pytest.param("spec.endpoint", {"ref": "Open AI"}, "spec.endpoint.ref", _REFERENCE, id="no name of an endpoint"),
        pytest.param("spec.budget", {}, "", "needs maxCost or maxTokens", id="an empty budget"),
        pytest.param(
            "spec.budget",
            {"maxCost": 5},
            "spec.budget.maxCost",
            "needs prices: give endpoint.pricing, or an LLMEndpoint with pricing",
            id="a budget without prices",
        ),
        pytest.param(
            "spec.window", {"start": "8:00", "end": "10:00"}, "spec.window.start", _CLOCK, id="no time of day"
        ),
        pytest.param(
            "spec.window", {"start": "22:00", "end": "24:00"}, "spec.window.end", _CLOCK, id="an hour too many"
        ),
        pytest.param(
            "spec.window",
            {"start": "22:00", "end": "22:00"},
            "spec.window.end",
            "is the same as start: the window would never open; leave window out to run at any time",
            id="a window that never opens",
        ),
        pytest.param(
            "spec.notify", [{"url": "example.com"}], "spec.notify[0].url", _URL, id="a webhook without a scheme"
        ),
        pytest.param(
            "spec.worker",
            {"resources": {"limits": {"memory": "2 GB"}}},
            "spec.worker.resources.limits.memory",
            _QUANTITY,
            id="memory in another way",
        ),
    ],
)
def test_api_server_and_command_line_refuse_a_manifest_in_the_same_words(
    shared_batches: Batches, field: str, value: Any, path: str, message: str
) -> None:
    document = with_field(suspended(), field, value)
    assert (path or field, message) in problems(document)
    assert says(shared_batches.refusal(document), _served_path(path or field), message)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        pytest.param("spec.model", "is required, as in gpt-4.1-mini", id="no model"),
        pytest.param("spec.request", "is required, unless input.format is openai", id="no request"),
    ],
)
def test_what_is_missing_is_said_in_the_same_words(shared_batches: Batches, field: str, message: str) -> None:
    document = without_field(suspended(input={"items": _ITEMS, "format": "jsonl"}), field)
    assert (field, message) in problems(document)
    assert says(shared_batches.refusal(document), field, message)


def test_a_name_that_is_too_long_for_the_objects_of_a_batch_is_refused(shared_batches: Batches) -> None:
    assert ("metadata.name", _NAME) in problems(suspended("a" * 64))
    assert f"metadata.name: {_NAME}" in shared_batches.refusal(suspended("a" * 64))
    shared_batches.try_out(suspended("a" * 63))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        pytest.param("spec.modle", "a", 'unknown field "spec.modle"', id="a slip in the spec"),
        pytest.param("spec.input.format", "xml", 'spec.input.format: Unsupported value: "xml"', id="an unknown format"),
        pytest.param(
            "spec.parallelism", 0, "spec.parallelism in body should be greater than or equal to 1", id="no pods"
        ),
        pytest.param("spec.input.items", ["a"], "spec.input.items[0]: Invalid value", id="an item without fields"),
        pytest.param(
            "spec.retry", {"maxSeconds": 0}, "retry.maxSeconds in body should be greater than 0", id="no wait"
        ),
        pytest.param(
            "spec.request.parameters", [], "spec.request.parameters: Invalid value", id="a list of parameters"
        ),
        pytest.param("spec.failurePolicy", {"stopOn": ["authh"]}, 'Unsupported value: "authh"', id="no category"),
        pytest.param("spec.endpoint.apiKeySecret", {}, "spec.endpoint.apiKeySecret.name: Required", id="no Secret"),
    ],
)
def test_other_mistakes_are_refused_with_their_path(
    shared_batches: Batches, field: str, value: Any, words: str
) -> None:
    assert problems(with_field(suspended(), field, value))
    assert words in shared_batches.refusal(with_field(suspended(), field, value))


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        pytest.param(suspended(input={"uri": "tickets.csv"}), "spec.input.uri", _LOCAL, id="a file as input"),
        pytest.param(suspended(output={"uri": "out/"}), "spec.output.uri", _NO_FOLDER, id="a folder for the output"),
        pytest.param(
            suspended(output={"uri": "https://example.com/out"}), "spec.output.uri", _NO_FOLDER, id="a web server"
        ),
        pytest.param(
            suspended(output={"layout": "sharded"}),
            "spec.output.layout",
            "the built-in store holds merged results only; give uri or pvc",
            id="sharded results in the built-in store",
        ),
    ],
)
def test_what_only_a_local_run_can_do_is_refused_with_the_way_out(
    shared_batches: Batches, document: Document, path: str, message: str
) -> None:
    assert says(shared_batches.refusal(document), path, message)


_STORE = {"endpoint": "https://minio:9000", "region": "eu-1", "caConfigMap": {"name": "ca", "key": "ca.crt"}}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(
            {"input": {"uri": "s3://a/**/*.parquet", "store": _STORE, "credentialsSecret": {"name": "a"}}}, id="S3"
        ),
        pytest.param({"input": {"uri": "az://a/b.csv", "where": "a == 'b'", "limit": 5}}, id="Azure, and a selection"),
        pytest.param({"input": {"uri": "https://example.com/a.csv", "sample": {"items": 5}}}, id="a web server"),
        pytest.param({"input": {"pvc": {"claimName": "a", "path": "in..put/*.csv"}}}, id="a volume"),
        pytest.param(
            {"output": {"uri": "gs://a/b/", "layout": "sharded", "credentialsSecret": {"name": "a"}}}, id="GCS"
        ),
        pytest.param({"output": {"pvc": {"claimName": "a", "path": "."}, "format": "parquet"}}, id="to a volume"),
        pytest.param({"output": {"format": "csv", "compression": "zstd", "fields": ["id"]}}, id="packed csv"),
        pytest.param({"deliver": {"url": "https://example.com/answers"}}, id="delivered results"),
    ],
)
def test_places_and_forms_are_accepted(shared_batches: Batches, fields: dict[str, Any]) -> None:
    check_manifest(suspended(**fields), "a test")
    shared_batches.try_out(suspended(**fields))
