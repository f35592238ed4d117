import gzip

import orjson
import pytest

from llmbatch_contract.errors import InputError
from llmbatch_contract.spec import InputFormat
from llmbatch_worker.inputs.detect import detect_format, is_gzip

_REQUEST = b'{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}'
_BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("name", "head", "expected"),
    [
        pytest.param("a.jsonl", b'{"a": 1}', InputFormat.JSONL, id="jsonl by name"),
        pytest.param("a.ndjson", b'{"a": 1}', InputFormat.JSONL, id="ndjson by name"),
        pytest.param("a.jsonl", b"a,b\n", InputFormat.JSONL, id="jsonl by name, whatever is in it"),
        pytest.param("a.csv", b"a,b\n", InputFormat.CSV, id="csv by name"),
        pytest.param("a.csv", b'{"a": 1}', InputFormat.CSV, id="csv by name, whatever is in it"),
        pytest.param("a.tsv", b"a\tb\n", InputFormat.CSV, id="tsv by name"),
        pytest.param("a.tab", b"a\tb\n", InputFormat.CSV, id="tab by name"),
        pytest.param("A.CSV.GZ", b'{"a": 1}', InputFormat.CSV, id="a packed csv in capitals"),
        pytest.param("a.jsonl.gz", b'{"a": 1}', InputFormat.JSONL, id="a packed jsonl"),
        pytest.param("a.txt", b"a,b\n", InputFormat.CSV, id="csv by content"),
        pytest.param("a", b'{"a": 1}\n', InputFormat.JSONL, id="jsonl by content"),
        pytest.param("a", _BOM + b'\r\n \n{"a": 1}\n', InputFormat.JSONL, id="jsonl after blank lines"),
        pytest.param("a", b'{"a": 1', InputFormat.JSONL, id="jsonl, cut off"),
        pytest.param("spec.input.items", b'{"a": 1}\n', InputFormat.JSONL, id="inline items"),
        pytest.param("a.jsonl", _REQUEST, InputFormat.OPENAI, id="requests"),
        pytest.param("a.json", _BOM + b"\n" + _REQUEST + b"\n{}", InputFormat.OPENAI, id="requests after a blank line"),
        pytest.param("a.csv", _REQUEST, InputFormat.CSV, id="requests called csv"),
        pytest.param("a", b"", InputFormat.CSV, id="an empty file"),
    ],
)
def test_a_format_is_told_from_name_and_content(name: str, head: bytes, expected: InputFormat) -> None:
    assert detect_format(InputFormat.AUTO, name, head) is expected


@pytest.mark.parametrize("asked", [InputFormat.JSONL, InputFormat.CSV, InputFormat.OPENAI])
def test_the_format_that_is_asked_for_wins(asked: InputFormat) -> None:
    assert detect_format(asked, "a.csv", b'{"a": 1}') is asked


def test_requests_are_told_though_the_first_is_longer_than_what_is_looked_at() -> None:
    body = {"messages": [{"role": "user", "content": "x" * 5000}]}
    line = orjson.dumps({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body})
    assert detect_format(InputFormat.AUTO, "a.jsonl", line[:4096]) is InputFormat.OPENAI


@pytest.mark.parametrize("head", [b'[{"a": 1}]', b'[\n  {"a": 1}\n]'], ids=["on one line", "on several lines"])
def test_a_json_list_is_not_taken_for_csv(head: bytes) -> None:
    try:
        found = detect_format(InputFormat.AUTO, "items.json", head)
    except InputError:
        return
    assert found is not InputFormat.CSV


@pytest.mark.parametrize(
    ("head", "expected"),
    [(gzip.compress(b"", mtime=0), True), (b"\x1f\x8b", True), (b"\x1f", False), (b"", False), (b"a,b", False)],
)
def test_gzip_is_told_by_its_first_bytes(head: bytes, expected: bool) -> None:
    assert is_gzip(head) is expected
