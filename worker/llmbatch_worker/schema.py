"""Checks answers against `responseSchema`: the only file that knows the JSON schema library."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import orjson

from llmbatch_contract.errors import InvalidError

_MOST_CHARS = 300


class ResponseSchema:
    """A compiled JSON schema. Compiling raises InvalidError."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        try:
            self._validator = jsonschema_rs.validator_for(schema)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
            reason = getattr(error, "message", str(error))
            raise InvalidError(f"spec.request.responseSchema: is not a valid JSON schema: {reason}") from error

    def parse(self, text: str) -> tuple[Any, str | None]:
        """The answer as data, and what is wrong with it (None: nothing)."""
        try:
            value = orjson.loads(_without_fence(text))
        except orjson.JSONDecodeError as error:
            return None, f"the answer is not JSON: {error.msg} at column {error.colno}"
        problem = next(self._validator.iter_errors(value), None)
        if problem is None:
            return value, None
        where = ".".join(str(p) for p in problem.instance_path)
        return value, f"the answer does not match responseSchema: {where or 'it'}: {problem.message}"[:_MOST_CHARS]

    @property
    def is_strict(self) -> bool:
        """Whether it fulfils what OpenAI asks of a schema for `strict: true`: all fields required, no others allowed.

        https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
        """
        return _is_strict(self.schema)

    @property
    def properties(self) -> list[str]:
        """Names of the fields of the answer, where it is an object."""
        found = self.schema.get("properties")
        return list(found) if isinstance(found, dict) else []


def _without_fence(text: str) -> str:
    """The text inside a Markdown code fence, which models without structured output put around JSON."""
    stripped = text.strip()
    if not (stripped.startswith("```") and stripped.endswith("```")):
        return text
    return stripped[3:-3].removeprefix("json").strip()


def _is_strict(schema: object) -> bool:
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if isinstance(properties, dict):
        if schema.get("additionalProperties") is not False or set(schema.get("required", [])) != set(properties):
            return False
    elif schema.get("type") == "object":
        return False
    return all(_is_strict(inner) for inner in _subschemas(schema))


def _subschemas(schema: dict[str, Any]) -> Iterator[object]:
    for keyword in ("properties", "$defs", "definitions"):
        if isinstance(named := schema.get(keyword), dict):
            yield from named.values()
    for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if isinstance(listed := schema.get(keyword), list):
            yield from listed
    yield schema.get("items")
