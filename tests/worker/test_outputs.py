"""Results and errors in the forms that can be asked for."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import batch
from llmbatch_contract.errors import InvalidError
from llmbatch_contract.records import DeadLetter, ResultRecord
from llmbatch_contract.spec import LLMBatchSpec
from llmbatch_worker.finalizing.columns import result_columns
from llmbatch_worker.finalizing.outputs import check_output
from llmbatch_worker.finalizing.text_forms import ChosenJsonlForm, CsvForm, OpenAIForm


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


def _spec(format_: str, properties: Sequence[str] = (), **output: Any) -> LLMBatchSpec:
    schema = {"type": "object", "properties": {name: {} for name in properties}}
    request = {"prompt": "{{ a }}", **({"responseSchema": schema} if properties else {})}
    return batch(request=request, output={"format": format_, **output}).spec


def _columns(inputs: list[str], properties: list[str], format_: str = "csv", **output: Any) -> list[str]:
    columns = result_columns(_spec(format_, properties, **output), inputs)
    assert columns is not None
    return [column.name for column in columns]


def _csv(fields: list[str], properties: Sequence[str] = ()) -> CsvForm:
    return CsvForm(result_columns(_spec("csv", properties), fields) or [])


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
    text = _csv(["a"]).result(_result(output), {"a": value}, b"").decode()
    assert list(csv.reader(io.StringIO(text, newline=""))) == [[value, output]]


def test_values_that_are_no_text_are_json_in_csv() -> None:
    item = {"l": [1, "x"], "b": True, "n": 1.5}
    text = _csv(["l", "b", "n", "missing"], ["p"]).result(_result({"p": [1]}), item, b"").decode()
    assert next(csv.reader(io.StringIO(text))) == ['[1,"x"]', "true", "1.5", "", '{"p":[1]}', "[1]"]


def test_an_openai_line_is_as_pythons_json_writes_it() -> None:
    form = OpenAIForm("u")
    response = {"status_code": 200, "request_id": "r", "body": {"x": "ü"}}
    line = form.result(_result(response=response), None, b"")
    row = json.loads(line)
    assert line == json.dumps(row).encode() + b"\n"
    assert list(row) == ["id", "custom_id", "response", "error"]
    assert (row["custom_id"], row["response"], row["error"]) == ("a", response, None)


def test_an_openai_error_without_an_answer_carries_our_category() -> None:
    form = OpenAIForm("u")
    row = json.loads(form.error(_letter(), b""))
    assert (row["response"], row["error"]) == (None, {"code": "refusal", "message": "no"})


def test_an_openai_error_with_an_answer_carries_the_answer() -> None:
    form = OpenAIForm("u")
    response = {"status_code": 400, "request_id": "", "body": {"error": {}}}
    row = json.loads(form.error(_letter(response=response), b""))
    assert (row["response"], row["error"]) == (response, None)


_RECORD = ["id", "index", "output"]


@pytest.mark.parametrize(
    ("format_", "output", "columns"),
    [
        pytest.param("parquet", {}, [*_RECORD, "stars", "ai_model", "finish_reason"], id="the answer is beside output"),
        pytest.param(
            "parquet",
            {"includeInput": True},
            ["ai_id", "index", "output", "ai_stars", "ai_model", "finish_reason"],
            id="the columns of the input keep their names",
        ),
        pytest.param("csv", {"fields": ["id", "ai_stars", "output"]}, ["id", "ai_stars", "output"], id="csv, chosen"),
        pytest.param(
            "csv", {"fields": ["ai_id", "latency_ms"]}, ["ai_id", "latency_ms"], id="csv with what records hold"
        ),
        pytest.param("jsonl", {"fields": ["stars", "id", "usage"]}, ["stars", "id", "usage"], id="jsonl, chosen"),
        pytest.param(
            "jsonl",
            {"fields": ["ai_stars", "stars"], "includeInput": True},
            ["ai_stars", "stars"],
            id="jsonl with input",
        ),
    ],
)
def test_columns_are_named_and_ordered_as_documented(format_: str, output: Any, columns: list[str]) -> None:
    assert _columns(["id", "stars"], ["stars", "model"], format_, **output)[: len(columns)] == columns


def test_chosen_fields_of_jsonl_are_null_where_a_result_has_none() -> None:
    spec = _spec("jsonl", ["stars"], fields=["stars", "id", "lang", "input_tokens"], includeInput=True)
    form = ChosenJsonlForm(result_columns(spec, ["id", "lang"]) or [])
    lines = [
        form.result(_result({"stars": 2}, input={"lang": "de"}), None, b""),
        form.result(_result("no object", input={}), None, b""),
    ]
    assert [json.loads(line) for line in lines] == [
        {"stars": 2, "id": "a", "lang": "de", "input_tokens": 0},
        {"stars": None, "id": "a", "lang": None, "input_tokens": 0},
    ]


@pytest.mark.parametrize(
    ("format_", "output", "message"),
    [
        pytest.param("jsonl", {"fields": ["strs"]}, r"have no 'strs'; did you mean 'stars'\?", id="misspelt"),
        pytest.param(
            "jsonl", {"fields": ["lang"]}, r"have no 'lang'; they have id, index, output,", id="input left out"
        ),
        pytest.param("csv", {"fields": ["id", "lang", "id"]}, r"has 'id' twice", id="twice"),
        pytest.param("parquet", {"fields": ["input"]}, r"have no 'input'", id="nested"),
    ],
)
def test_a_field_that_results_do_not_have_is_an_error_that_says_so(format_: str, output: Any, message: str) -> None:
    wanted = batch(
        request={"prompt": "{{ a }}", "responseSchema": {"properties": {"stars": {}}}},
        output={"format": format_, **output},
    )
    with pytest.raises(InvalidError, match=f"^spec.output.fields: .*{message}"):
        check_output(wanted, ["id", "lang"])
