"""Sources, sinks and the way to their stores in a manifest: what may stand together, and what the user reads if not."""

from typing import Any

import pytest

from builders import manifest
from contract.manifest_problems import problems_with
from llmbatch_contract.spec import Layout, LLMBatch, Packing
from llmbatch_contract.validation import check_manifest

_STORE_ELSEWHERE = "goes with a uri that starts with s3://, gs:// or az://"
_NO_SCHEME = "must be a path, or start with s3://, gs://, az:// or https://"
_NO_BUCKET = "must name a bucket or container, as in s3://bucket/folder/"
_PASSWORD = "must not hold a user or password: use credentialsSecret"
_INSIDE = "must be a path inside the volume: neither with / at its start nor with .. in it"
_READ_ONLY = "can be read only; results go to s3://, gs://, az:// or a folder"
_FIXED = "the form of OpenAI's files is fixed; remove it"


def _read(**spec: Any) -> LLMBatch:
    return check_manifest(manifest(**spec), "batch.yaml")


@pytest.mark.parametrize(
    ("field", "value", "path", "message"),
    [
        pytest.param("spec.input.uri", "ftp://host/a.csv", "spec.input.uri", _NO_SCHEME, id="a scheme nobody knows"),
        pytest.param("spec.input.uri", "S3://bucket/a.csv", "spec.input.uri", _NO_SCHEME, id="a scheme in capitals"),
        pytest.param("spec.input.uri", "s3:///a.csv", "spec.input.uri", _NO_BUCKET, id="no bucket"),
        pytest.param("spec.input.uri", "https://me:pw@host/a", "spec.input.uri", _PASSWORD, id="a password in a URL"),
        pytest.param(
            "spec.input",
            {"uri": "s3://b/a.csv", "store": {"endpoint": "https://me:pw@host"}},
            "spec.input.store.endpoint",
            _PASSWORD,
            id="a password in an endpoint of a store",
        ),
        pytest.param(
            "spec.deliver",
            {"url": "https://me:pw@host/a"},
            "spec.deliver.url",
            "must not hold a user or password: requests are signed, so check their signature",
            id="a password in the address of a webhook",
        ),
        pytest.param(
            "spec.input",
            {"uri": "a.csv", "store": {"region": "eu-west-1"}},
            "spec.input.store",
            _STORE_ELSEWHERE,
            id="a store beside a path",
        ),
        pytest.param(
            "spec.input",
            {"pvc": {"claimName": "data", "path": "a"}, "credentialsSecret": {"name": "minio"}},
            "spec.input.credentialsSecret",
            _STORE_ELSEWHERE,
            id="credentials beside a volume",
        ),
        pytest.param(
            "spec.output",
            {"credentialsSecret": {"name": "minio"}},
            "spec.output.credentialsSecret",
            _STORE_ELSEWHERE,
            id="credentials for the built-in store",
        ),
        pytest.param(
            "spec.input", {"pvc": {"claimName": "data", "path": "/a"}}, "spec.input.pvc.path", _INSIDE, id="the root"
        ),
        pytest.param(
            "spec.input", {"pvc": {"claimName": "data", "path": "a/../b"}}, "spec.input.pvc.path", _INSIDE, id="out"
        ),
        pytest.param(
            "spec.input",
            {"items": [], "format": "parquet"},
            "spec.input.format",
            "inline items are objects, csv and parquet do not apply; remove it",
            id="inline items as Parquet",
        ),
        pytest.param(
            "spec.output.uri",
            "https://host/out/",
            "spec.output.uri",
            "can be read only; results go to s3://, gs://, az:// or a folder",
            id="results to a web server",
        ),
        pytest.param(
            "spec.output",
            {"uri": "s3://bucket/out", "pvc": {"claimName": "data", "path": "out"}},
            "spec.output.pvc",
            "has no uri beside it; give one of them",
            id="two places for results",
        ),
        pytest.param(
            "spec.output", {"format": "openai", "fields": ["id"]}, "spec.output.fields", _FIXED, id="chosen fields"
        ),
        pytest.param(
            "spec.output",
            {"format": "openai", "includeInput": True},
            "spec.output.includeInput",
            _FIXED,
            id="items in OpenAI's form",
        ),
        pytest.param(
            "spec.output",
            {"format": "parquet", "compression": "gzip"},
            "spec.output.compression",
            "parquet is packed already; remove it",
            id="packed Parquet",
        ),
        pytest.param("spec.output.fields", [], "spec.output.fields", "must not be empty", id="no fields at all"),
        pytest.param(
            "spec.output.compression",
            "zip",
            "spec.output.compression",
            "must be none, gzip or zstd, not 'zip'",
            id="another packing",
        ),
        pytest.param("spec.input.limit", 0, "spec.input.limit", "must be at least 1, not 0", id="a limit of nothing"),
        pytest.param(
            "spec.input.sample", {"seed": 1}, "spec.input.sample.items", "is required", id="a sample of how many?"
        ),
        pytest.param(
            "spec.deliver", {"url": "bridge"}, "spec.deliver.url",
            "must start with http:// or https:// and name a host, as in https://api.openai.com/v1",
            id="deliver to no URL",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_at_its_field(field: str, value: Any, path: str, message: str) -> None:
    assert problems_with(field, value) == [(path, message)]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"uri": "tickets.csv"}, id="a path"),
        pytest.param({"uri": "s3://bucket/2026/*.parquet", "idField": "id"}, id="a pattern"),
        pytest.param({"uri": "https://host/a.jsonl?download=1"}, id="a web server, with a query"),
        pytest.param({"pvc": {"claimName": "data", "path": "a/**/b.csv"}}, id="a volume"),
        pytest.param(
            {
                "uri": "gs://bucket/a/",
                "store": {"endpoint": "http://fake:4443", "pathStyle": True, "caConfigMap": {"name": "ca", "key": "c"}},
                "credentialsSecret": {"name": "gcs"},
                "where": "stars < 3",
                "limit": 10,
                "sample": {"items": 5, "seed": 7},
            },
            id="everything",
        ),
    ],
)
def test_an_input_may_be(given: dict[str, Any]) -> None:
    read = _read(input=given).spec.input
    assert read.dump().items() >= given.items()


def test_an_output_is_not_packed_laid_out_by_size_and_overwrites_nothing() -> None:
    output = _read().spec.output
    assert (output.compression, output.layout, output.overwrite, output.fields) == (
        Packing.NONE,
        Layout.AUTO,
        False,
        None,
    )


_HOST = "must name a host, as in https://example.com/items.jsonl"
_ENDPOINT = "must start with http:// or https:// and name a host, as in https://api.openai.com/v1"
_ELSEWHERE = [
    pytest.param("tickets.csv", id="a path"),
    pytest.param("file:///data/tickets.csv", id="a file"),
    pytest.param("https://host/tickets.csv", id="a web server"),
]


@pytest.mark.parametrize(
    "uri",
    ["a.csv", "/data/a.csv", "file:///a.csv", "a@b/c.csv", "./a b.csv", "C:/a.csv", "s3://b/k", "s3://b", "gs://b/a/",
     "az://c/**/[*].csv", "https://host:8443/a?sig=x%40y", "http://host/a@b", "s3://b/a@b", "s3://b/a://c"],
)  # fmt: skip
def test_an_input_may_have_the_uri(uri: str) -> None:
    assert _read(input={"uri": uri}).spec.input.uri == uri


_WRONG_URIS = [
    ("", "must not be empty"),
    ("ftp://host/a", _NO_SCHEME),
    ("HTTPS://host/a", _NO_SCHEME),
    ("hdfs://host/a", _NO_SCHEME),
    ("s3://", _NO_BUCKET),
    ("gs:///a", _NO_BUCKET),
    ("az://?a", _NO_BUCKET),
    ("https://", _HOST),
    ("https:///a", _HOST),
    ("http://?a", _HOST),
    ("s3://key:secret@b/k", _PASSWORD),
    ("az://account@c/k", _PASSWORD),
    ("http://me@host", _PASSWORD),
    ("file://me@host/a", _PASSWORD),
]


@pytest.mark.parametrize(("uri", "message"), _WRONG_URIS)
def test_no_input_may_have_the_uri(uri: str, message: str) -> None:
    assert problems_with("spec.input", {"uri": uri}) == [("spec.input.uri", message)]


@pytest.mark.parametrize(("uri", "message"), [each for each in _WRONG_URIS if each[1] != _HOST])
def test_no_output_may_have_the_uri(uri: str, message: str) -> None:
    assert problems_with("spec.output", {"uri": uri}) == [("spec.output.uri", message)]


def test_a_uri_is_not_longer_than_the_api_server_allows() -> None:
    assert _read(input={"uri": "s3://b/" + "a" * 2041}).spec.input.uri
    [(path, message)] = problems_with("spec.input.uri", "s3://b/" + "a" * 2042)
    assert path == "spec.input.uri"
    assert message.startswith("must be at most 2,048 characters long")


@pytest.mark.parametrize("uri", _ELSEWHERE)
@pytest.mark.parametrize("field", ["store", "credentialsSecret"])
def test_the_way_to_a_store_goes_with_object_stores_only(field: str, uri: str) -> None:
    way = {"store": {}, "credentialsSecret": {"name": "minio"}}[field]
    assert problems_with("spec.input", {"uri": uri, field: way}) == [(f"spec.input.{field}", _STORE_ELSEWHERE)]
    for scheme in ("s3", "gs", "az"):
        assert _read(input={"uri": f"{scheme}://b/k", field: way}).spec.input.dump()[field] == way


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"items": [{"body": "b"}]}, id="items"),
        pytest.param({"uri": "a.csv"}, id="uri"),
        pytest.param({"configMap": {"name": "a", "key": "b"}}, id="configMap"),
        pytest.param({"deadLettersOf": {"name": "a"}}, id="deadLettersOf"),
    ],
)
def test_a_volume_is_the_only_source(other: dict[str, Any]) -> None:
    message = "must have exactly one of items, uri, pvc, configMap and deadLettersOf"
    given = {"pvc": {"claimName": "data", "path": "a"}, **other}
    assert problems_with("spec.input", given) == [("spec.input", message)]


@pytest.mark.parametrize("path", ["a", "a/b.csv", "a/", ".", "..a/b..", "a/**/*.csv", "é", "a b"])
def test_a_path_may_be_anywhere_inside_its_volume(path: str) -> None:
    volume = {"claimName": "data", "path": path}
    assert _read(input={"pvc": volume}).spec.input.dump()["pvc"] == volume


@pytest.mark.parametrize("path", ["", "/", "/a", "..", "../a", "a/..", "a/../../b", "a\nb", "\x00"])
@pytest.mark.parametrize("part", ["input", "output"])
def test_no_path_leads_out_of_its_volume(part: str, path: str) -> None:
    found = problems_with(f"spec.{part}", {"pvc": {"claimName": "data", "path": path}})
    assert found == [(f"spec.{part}.pvc.path", _INSIDE)]


@pytest.mark.parametrize(
    ("field", "value", "path", "message"),
    [
        pytest.param("pvc", {"path": "a"}, "pvc.claimName", "is required", id="no claim"),
        pytest.param("pvc", {"claimName": "", "path": "a"}, "pvc.claimName", "must not be empty", id="an empty claim"),
        pytest.param("pvc", {"claimName": "data"}, "pvc.path", "is required", id="no path"),
        pytest.param("uri", "http://host/out", "uri", _READ_ONLY, id="results to a web server without TLS"),
        pytest.param("fields", "id", "fields", "must be a list, not 'id'", id="one field without its list"),
        pytest.param("layout", "many", "layout", "must be auto, merged or sharded, not 'many'", id="another layout"),
        pytest.param("overwrite", "yes", "overwrite", "must be true or false, not 'yes'", id="no truth"),
    ],
)
def test_an_output_may_not_have(field: str, value: object, path: str, message: str) -> None:
    assert problems_with("spec.output", {field: value}) == [(f"spec.output.{path}", message)]


@pytest.mark.parametrize(
    ("store", "path", "message"),
    [
        pytest.param({"endpoint": "minio:9000"}, "endpoint", _ENDPOINT, id="a server without a scheme"),
        pytest.param({"endpoint": "https://host:0"}, "endpoint", "has no valid host and port", id="port 0"),
        pytest.param({"region": ""}, "region", "must not be empty", id="an empty region"),
        pytest.param({"pathStyle": "yes"}, "pathStyle", "must be true or false, not 'yes'", id="no truth"),
        pytest.param({"caConfigMap": {"name": "ca"}}, "caConfigMap.key", "is required", id="a certificate without key"),
    ],
)
@pytest.mark.parametrize("part", ["input", "output"])
def test_a_store_may_not_have(part: str, store: dict[str, Any], path: str, message: str) -> None:
    found = problems_with(f"spec.{part}", {"uri": "s3://bucket/a", "store": store})
    assert found == [(f"spec.{part}.store.{path}", message)]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"pvc": {"claimName": "data", "path": "."}, "layout": "sharded"}, id="a whole volume"),
        pytest.param({"uri": "az://c", "format": "parquet", "includeInput": True}, id="a whole container"),
        pytest.param({"format": "openai", "compression": "zstd"}, id="packed OpenAI lines"),
        pytest.param({"format": "csv", "compression": "gzip", "fields": ["a", "b"], "overwrite": True}, id="CSV"),
        pytest.param({"layout": "sharded"}, id="a folder beside the manifest"),
    ],
)
def test_an_output_may_be(given: dict[str, Any]) -> None:
    assert _read(output=given).spec.output.dump().items() >= given.items()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("items", 0, "must be at least 1, not 0"),
        ("items", 1_000_001, "must be at most 1,000,000, not 1000001"),
        ("seed", -1, "must be at least 0, not -1"),
        ("seed", 2**31, "must be at most 2,147,483,647, not 2147483648"),
    ],
)
def test_a_sample_has_its_bounds(field: str, value: int, message: str) -> None:
    found = problems_with("spec.input", {"uri": "a.csv", "sample": {"items": 5, field: value}})
    assert found == [(f"spec.input.sample.{field}", message)]


@pytest.mark.parametrize(
    ("deliver", "path", "message"),
    [
        pytest.param({}, ".url", "is required", id="no URL"),
        pytest.param({"url": "https://h/", "batchSize": 0}, ".batchSize", "must be at least 1, not 0", id="none"),
        pytest.param(
            {"url": "https://h/", "batchSize": 10_001}, ".batchSize", "must be at most 10,000, not 10001", id="too many"
        ),
        pytest.param({"url": "https://h:0/"}, ".url", "has no valid host and port", id="port 0"),
    ],
)
def test_a_delivery_may_not_have(deliver: dict[str, Any], path: str, message: str) -> None:
    assert problems_with("spec.deliver", deliver) == [(f"spec.deliver{path}", message)]


def test_a_delivery_keeps_the_slash_at_the_end_of_its_url() -> None:
    deliver = _read(deliver={"url": "https://bridge.example.com/answers/"}).spec.deliver
    assert deliver is not None
    assert (deliver.url, deliver.batch_size) == ("https://bridge.example.com/answers/", 100)
