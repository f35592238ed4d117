from collections.abc import Mapping
from random import Random
from typing import Any

import jsonschema_rs
import orjson
import pytest

from llmbatch_cli.simulator.schema_sample import SchemaError, sample
from simulator.asking import running

_NODE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "required": ["name", "left", "right", "others"],
            "properties": {
                "name": {"type": "string"},
                "left": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "right": {"oneOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "others": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
        }
    },
}
_TICKET = {
    "type": "object",
    "additionalProperties": False,
    "required": ["category", "score", "tags"],
    "properties": {
        "category": {"enum": ["billing", "bug", "other"]},
        "score": {"type": "integer", "minimum": 1, "maximum": 5},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 8}, "minItems": 1, "maxItems": 3},
        "note": {"type": ["string", "null"], "minLength": 12},
    },
}

SCHEMAS = [
    pytest.param({}, id="anything"),
    pytest.param({"const": {"a": [1]}}, id="const"),
    pytest.param({"enum": [1, "two", None]}, id="enum"),
    pytest.param({"type": "boolean"}, id="boolean"),
    pytest.param({"type": "null"}, id="null"),
    pytest.param({"type": ["null", "integer"]}, id="one of several types"),
    pytest.param({"type": "string", "minLength": 30, "maxLength": 40}, id="long string"),
    pytest.param({"type": "string", "minLength": 3, "maxLength": 3}, id="short string"),
    pytest.param({"type": "string", "maxLength": 0}, id="empty string"),
    pytest.param({"type": "integer", "minimum": -7, "maximum": -5}, id="negative integer"),
    pytest.param({"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5}, id="integer in between"),
    pytest.param({"type": "integer", "minimum": 1000}, id="integer from"),
    pytest.param({"type": "integer", "maximum": -1000}, id="integer to"),
    pytest.param({"type": "integer", "multipleOf": 7, "minimum": 1}, id="multiple of seven"),
    pytest.param({"type": "integer", "multipleOf": 1.5}, id="whole multiple of one and a half"),
    pytest.param({"type": "number", "minimum": 0.1, "maximum": 0.2}, id="narrow number"),
    pytest.param({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001}, id="tiny number"),
    pytest.param({"type": "number", "minimum": 4, "maximum": 4}, id="one number"),
    pytest.param({"type": "number", "multipleOf": 0.25, "minimum": 3}, id="quarters"),
    pytest.param({"type": "array", "items": {"type": "integer"}, "minItems": 4}, id="array of at least"),
    pytest.param({"type": "array", "maxItems": 0}, id="empty array"),
    pytest.param(
        {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False, "maxItems": 2},
        id="tuple",
    ),
    pytest.param(
        {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 2, "maxItems": 2},
        id="unique items",
    ),
    pytest.param({"properties": {"a": {"minimum": 5}}, "required": ["a", "b"]}, id="types left out"),
    pytest.param({"type": "object", "additionalProperties": {"type": "integer"}, "required": ["x"]}, id="map"),
    pytest.param({"anyOf": [{"type": "integer"}, {"type": "string"}]}, id="anyOf"),
    pytest.param({"oneOf": [{"type": "string", "format": "email"}, {"type": "null"}]}, id="oneOf"),
    pytest.param(
        {
            "allOf": [
                {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
                {"properties": {"b": {"type": "null"}}, "required": ["b"]},
            ]
        },
        id="allOf",
    ),
    pytest.param(_NODE, id="a tree that contains itself"),
    pytest.param(_TICKET, id="a ticket"),
    *(
        pytest.param({"type": "string", "format": form}, id=f"format {form}")
        for form in (
            *("date", "time", "date-time", "email", "uri", "uuid"),
            *("hostname", "ipv4", "ipv6", "duration", "unheard-of"),
        )
    ),
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_sample_satisfies_its_schema(schema: Mapping[str, Any]) -> None:
    validator = jsonschema_rs.validator_for(dict(schema), validate_formats=True)
    for seed in range(100):
        validator.validate(sample(schema, Random(seed)))


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_sample_depends_on_the_draws_alone(schema: Mapping[str, Any]) -> None:
    assert sample(schema, Random(7)) == sample(schema, Random(7))


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        pytest.param({"$ref": "#/$defs/gone"}, "refers to nothing", id="dangling reference"),
        pytest.param({"$ref": "https://example.com/x"}, "not a reference inside", id="remote reference"),
        pytest.param({"$ref": "#"}, "in a circle", id="reference to itself"),
        pytest.param({"type": "float"}, "'float' is not a type", id="unknown type"),
        pytest.param({"type": "integer", "minimum": 3, "maximum": 2}, "no number", id="empty range"),
        pytest.param({"enum": []}, "enum needs", id="empty enum"),
        pytest.param(
            {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "without end", id="endless"
        ),
    ],
)
def test_a_schema_without_a_sample_says_why(schema: Mapping[str, Any], why: str) -> None:
    with pytest.raises(SchemaError, match=why):
        sample(schema, Random(0))


def _asking_for(api: str, schema: Any) -> dict[str, Any]:
    form = {"name": "it", "schema": schema}
    if api == "chat":
        return {"response_format": {"type": "json_schema", "json_schema": form}}
    return {"text": {"format": {"type": "json_schema", **form}}}


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_an_answer_satisfies_the_schema_that_was_asked_for(api: str) -> None:
    validator = jsonschema_rs.validator_for(_TICKET)
    async with running() as client:
        for index in range(20):
            reply = await client.post(api, f"ticket {index}", **_asking_for(api, _TICKET))
            validator.validate(_document(api, reply.body))


@pytest.mark.parametrize("schema", [_TICKET, _NODE, {"type": "integer"}, {"type": "array"}, {"const": 1}])
@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_a_wrong_schema_is_json_that_the_schema_forbids(api: str, schema: dict[str, Any]) -> None:
    async with running(fail={"wrong_schema": 1.0}) as client:
        reply = await client.post(api, **_asking_for(api, schema))
    assert not jsonschema_rs.is_valid(schema, _document(api, reply.body))


@pytest.mark.parametrize("extra", [{}, {"response_format": {"type": "json_object"}}, _asking_for("chat", {})])
async def test_without_a_schema_to_break_the_text_is_not_json(extra: dict[str, Any]) -> None:
    async with running(fail={"wrong_schema": 1.0}) as client:
        reply = await client.chat(**extra)
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(reply.body["choices"][0]["message"]["content"])


async def test_a_json_object_is_an_object() -> None:
    async with running() as client:
        reply = await client.chat(response_format={"type": "json_object"})
    assert isinstance(_document("chat", reply.body), dict)


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": "float"}, id="a type that does not exist"),
        pytest.param({"type": "object", "properties": 3}, id="properties that are a number"),
        pytest.param({"$ref": "https://example.com/schema"}, id="a schema elsewhere"),
        pytest.param({"type": "string", "pattern": "^[0-9]{9}$"}, id="a pattern"),
        pytest.param({"type": "array", "items": {"const": 1}, "uniqueItems": True, "minItems": 2}, id="none"),
    ],
)
async def test_a_schema_that_cannot_be_satisfied_is_a_400(schema: dict[str, Any]) -> None:
    async with running() as client:
        reply = await client.chat(**_asking_for("chat", schema))
    assert (reply.status, reply.code) == (400, "invalid_json_schema")


def _document(api: str, body: Any) -> Any:
    text = body["choices"][0]["message"]["content"] if api == "chat" else body["output"][0]["content"][0]["text"]
    return orjson.loads(text)
