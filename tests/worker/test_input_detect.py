import orjson
import pytest

from llmbatch_contract.errors import InputError
from llmbatch_contract.spec import InputFormat
from llmbatch_worker.inputs.detect import detect_format, says_parquet

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
        pytest.param("a.csv", b"PAR1", InputFormat.PARQUET, id="parquet called csv"),
        pytest.param("a", b"PAR1", InputFormat.PARQUET, id="parquet by content"),
        pytest.param("a.pq", b"", InputFormat.PARQUET, id="parquet by name"),
        pytest.param("a.csv.zst", b'{"a": 1}', InputFormat.CSV, id="a csv packed by zstd"),
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


@pytest.mark.parametrize("asked", [InputFormat.AUTO, InputFormat.JSONL, InputFormat.CSV])
@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        pytest.param(b"PK\x03\x04\x14\0\x06\0", "is a zip file, as the workbooks of Excel are", id="workbook"),
        pytest.param("subject,body\n".encode("utf-16"), "is UTF-16 or no text at all", id="UTF-16"),
        pytest.param("subject,body\n".encode("utf-16-be"), "is UTF-16 or no text at all", id="UTF-16 without a mark"),
        pytest.param(b"\x1f\x9d\x90s\nx", "is UTF-16 or no text at all", id="packed by compress"),
        pytest.param(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is UTF-16 or no text at all", id="an old workbook"),
        pytest.param(b"\n<!DOCTYPE html>\n<html>", "is a web page, not a file of items", id="a page to log in"),
        pytest.param(_BOM + b'<HTML lang="en">', "is a web page, not a file of items", id="a page without a type"),
    ],
)
def test_what_is_no_text_is_not_taken_for_a_strange_table(asked: InputFormat, head: bytes, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        detect_format(asked, "tickets.csv", head)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.parquet", True), ("A.PQ", True), ("a.parq", True), ("a.parquet.gz", False), ("parquet", False), ("", False)],
)
def test_parquet_is_told_by_its_name(name: str, expected: bool) -> None:
    assert says_parquet(name) is expected


@pytest.mark.parametrize("asked", [InputFormat.JSONL, InputFormat.CSV, InputFormat.OPENAI])
def test_parquet_that_is_said_to_be_something_else_is_refused(asked: InputFormat) -> None:
    with pytest.raises(InputError, match=r"^a\.csv: is Parquet, but spec\.input\.format is"):
        detect_format(asked, "a.csv", b"PAR1")
