"""Results and errors in the forms that can be asked for."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbatch_contract.records import DeadLetter, ResultRecord
from llmbatch_contract.spec import OutputFormat
from llmbatch_worker.finalizing.outputs import output_form


def _result(output: Any = "Hi", **extra: Any) -> ResultRecord:
    record: Any = {
        "id": "a", "index": 0, "output": output, "finish_reason": "stop", "model": "m", "usage": {}, "attempts": 1,
        "latency_ms": 1.0, **extra,
    }  # fmt: skip
    return record  # type: ignore[no-any-return]


def _letter(**extra: Any) -> DeadLetter:
    error = {"category": "refusal", "message": "no", "status": 200, "code": None}
    letter: Any = {"id": "a", "index": 0, "item": {}, "error": error, "attempts": 1, **extra}
    return letter  # type: ignore[no-any-return]


def _columns(fields: list[str], properties: list[str]) -> list[str]:
    form = output_form(OutputFormat.CSV, fields=fields, properties=properties, uid="u")
    return next(csv.reader(io.StringIO(form.header().decode())))


@pytest.mark.parametrize(
    ("fields", "properties", "columns"),
    [
        pytest.param(["a"], [], ["a", "ai_output"], id="the answer comes last"),
        pytest.param(["a"], ["x", "y"], ["a", "ai_output", "x", "y"], id="a column for each property"),
        pytest.param(["x"], ["x"], ["x", "ai_output", "ai_x"], id="a property called as a column"),
        pytest.param(["ai_output"], [], ["ai_output", "ai_output_2"], id="a column called ai_output"),
        pytest.param(["x", "ai_x"], ["x"], ["x", "ai_x", "ai_output", "ai_x_2"], id="both names taken"),
    ],
)
def test_no_column_has_the_name_of_another(fields: list[str], properties: list[str], columns: list[str]) -> None:
    assert _columns(fields, properties) == columns


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


@given(value=_TEXT, output=_TEXT)
def test_any_text_comes_back_from_csv_as_it_was(value: str, output: str) -> None:
    form = output_form(OutputFormat.CSV, fields=["a"], properties=[], uid="u")
    text = form.result(_result(output), {"a": value}).decode()
    assert list(csv.reader(io.StringIO(text, newline=""))) == [[value, output]]


def test_values_that_are_no_text_are_json_in_csv() -> None:
    form = output_form(OutputFormat.CSV, fields=["l", "b", "n", "missing"], properties=["p"], uid="u")
    text = form.result(_result({"p": [1]}), {"l": [1, "x"], "b": True, "n": 1.5}).decode()
    assert next(csv.reader(io.StringIO(text))) == ['[1,"x"]', "true", "1.5", "", '{"p":[1]}', "[1]"]


def test_an_openai_line_is_as_pythons_json_writes_it() -> None:
    form = output_form(OutputFormat.OPENAI, fields=[], properties=[], uid="u")
    response = {"status_code": 200, "request_id": "r", "body": {"x": "ü"}}
    line = form.result(_result(response=response), None)
    row = json.loads(line)
    assert line == json.dumps(row).encode() + b"\n"
    assert list(row) == ["id", "custom_id", "response", "error"]
    assert (row["custom_id"], row["response"], row["error"]) == ("a", response, None)


def test_an_openai_error_without_an_answer_carries_our_category() -> None:
    form = output_form(OutputFormat.OPENAI, fields=[], properties=[], uid="u")
    row = json.loads(form.error(_letter()))
    assert (row["response"], row["error"]) == (None, {"code": "refusal", "message": "no"})


def test_an_openai_error_with_an_answer_carries_the_answer() -> None:
    form = output_form(OutputFormat.OPENAI, fields=[], properties=[], uid="u")
    response = {"status_code": 400, "request_id": "", "body": {"error": {}}}
    row = json.loads(form.error(_letter(response=response)))
    assert (row["response"], row["error"]) == (response, None)
