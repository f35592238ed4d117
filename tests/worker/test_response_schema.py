"""Answers are checked against the schema that was asked for."""

from typing import Any

import pytest

from llmbatch_contract.errors import InvalidError
from llmbatch_worker.schema import ResponseSchema

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["n"],
    "properties": {"n": {"type": "integer", "maximum": 9}, "tags": {"type": "array", "items": {"type": "string"}}},
}


@pytest.mark.parametrize(
    "text", ['{"n": 1}', ' {"n": 1}\n', '```json\n{"n": 1}\n```', '```\n{"n": 1}\n```', '```json{"n": 1}```']
)
def test_json_that_fits_is_the_answer(text: str) -> None:
    assert ResponseSchema(SCHEMA).parse(text) == ({"n": 1}, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("yes", "not JSON", id="words"),
        pytest.param('{"n": 1', "not JSON", id="half an object"),
        pytest.param("", "not JSON", id="nothing"),
        pytest.param("{}", "it: ", id="a missing field"),
        pytest.param('{"n": 10}', " n: ", id="too large a number"),
        pytest.param('{"n": 1, "tags": ["a", 2]}', "tags.1: ", id="a place in a list"),
        pytest.param("[]", "it: ", id="a list"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(text: str, problem: str) -> None:
    found = ResponseSchema(SCHEMA).parse(text)[1]
    assert found is not None
    assert problem in found
    assert len(found) <= 300


@pytest.mark.parametrize("schema", [{"type": "objekt"}, {"$ref": "#/nowhere"}, {"properties": []}, {"pattern": "("}])
def test_a_schema_that_is_none_is_refused_by_its_field(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidError, match=r"^spec\.request\.responseSchema: "):
        ResponseSchema(schema)


CLOSED: dict[str, Any] = {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "is_strict"),
    [
        pytest.param(CLOSED, True, id="all required and closed"),
        pytest.param(CLOSED | {"required": []}, False, id="an optional field"),
        pytest.param(SCHEMA, False, id="open"),
        pytest.param({"type": "object"}, False, id="any object"),
        pytest.param({"type": "array", "items": CLOSED}, True, id="a list of closed objects"),
        pytest.param({"type": "array", "items": SCHEMA}, False, id="a list of open objects"),
        pytest.param(CLOSED | {"properties": {"a": SCHEMA}}, False, id="an open object inside"),
        pytest.param({"anyOf": [CLOSED, {"type": "null"}]}, True, id="alternatives"),
        pytest.param(
            {**CLOSED, "properties": {"properties": {"type": "string"}}, "required": ["properties"]},
            True,
            id="a field called properties",
        ),
        pytest.param({**CLOSED, "properties": {"a": {"enum": [{"type": "object"}]}}}, True, id="an object as a value"),
    ],
)
def test_strict_is_claimed_only_where_openai_accepts_it(schema: dict[str, Any], is_strict: bool) -> None:
    assert ResponseSchema(schema).is_strict is is_strict


def test_the_fields_of_the_answer_are_known() -> None:
    assert ResponseSchema(SCHEMA).properties == ["n", "tags"]
    assert ResponseSchema({"type": "string"}).properties == []
