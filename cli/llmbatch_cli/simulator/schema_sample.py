"""Invents a JSON document that satisfies a JSON schema. Small and deterministic.

Knows the keywords that schemas for language models use: type, enum, const, properties, required, items,
prefixItems, lengths and bounds, multipleOf, uniqueItems, anyOf and oneOf (the first branch), allOf, local
$ref and common formats. What else a schema demands (pattern, not, …) is checked afterwards by answers.py,
which refuses a schema it cannot satisfy.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Any

from llmbatch_cli.simulator.schema_strings import sample_string

Schema = Mapping[str, Any]

# Deeper than this only what is required is made, so that schemas that contain themselves come to an end.
_FULL_DEPTH = 3
_MAX_DEPTH = 40
_ANYTHING: Schema = {"type": "string"}


class SchemaError(ValueError):
    """No document can be invented for the schema; the message says why."""


@dataclass(frozen=True, slots=True)
class _Task:
    root: Schema
    rng: Random
    depth: int = 0

    def deeper(self) -> "_Task":
        if self.depth >= _MAX_DEPTH:
            raise SchemaError("it requires documents without end")
        return _Task(self.root, self.rng, self.depth + 1)

    @property
    def is_deep(self) -> bool:
        return self.depth > _FULL_DEPTH


def sample(schema: Schema, rng: Random) -> Any:
    return _value(_Task(schema, rng), schema)


def _value(task: _Task, schema: Schema | bool) -> Any:
    plain = _plain(task, schema)
    if "const" in plain:
        return plain["const"]
    if "enum" in plain:
        return _choice_of_enum(task, plain["enum"])
    kind = _kind(task, plain)
    if kind not in _BY_KIND:
        raise SchemaError(f"{kind!r} is not a type of JSON schema")
    return _BY_KIND[kind](task, plain)


def _choice_of_enum(task: _Task, values: Any) -> Any:
    if not isinstance(values, list) or not values:
        raise SchemaError("an enum needs a list of values")
    return task.rng.choice(values)


def _plain(task: _Task, schema: Schema | bool) -> Schema:
    """The schema without $ref, allOf, anyOf and oneOf."""
    for _ in range(_MAX_DEPTH):
        if schema is True or schema == {}:
            return _ANYTHING
        if not isinstance(schema, Mapping):
            raise SchemaError(f"{schema!r} is not a schema that anything satisfies")
        key = next((each for each in ("$ref", "allOf", "anyOf", "oneOf") if each in schema), None)
        if key is None:
            return schema
        rest = {name: value for name, value in schema.items() if name != key}
        schema = _merged([rest, *_parts(task, key, schema[key])])
    raise SchemaError("its references go in a circle")


def _parts(task: _Task, key: str, value: Any) -> list[Schema]:
    if key == "$ref":
        return [_referred(task.root, value)]
    if not isinstance(value, list) or not value:
        raise SchemaError(f"{key} needs a list of schemas")
    return value if key == "allOf" else [_branch(task, value)]


def _branch(task: _Task, branches: list[Any]) -> Schema:
    """The first; deep down null if that is allowed, since that ends it."""
    first: Schema = branches[0]
    if not task.is_deep:
        return first
    return next((each for each in branches if each == {"type": "null"}), first)


def _referred(root: Schema, reference: Any) -> Schema:
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise SchemaError(f"$ref {reference!r} is not a reference inside the schema")
    found: Any = root
    for step in reference.removeprefix("#").split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or name not in found:
            raise SchemaError(f"$ref {reference!r} refers to nothing")
        found = found[name]
    return _ANYTHING if found is True else found


def _merged(parts: list[Schema]) -> Schema:
    merged: dict[str, Any] = {}
    for part in parts:
        if not isinstance(part, Mapping):
            raise SchemaError(f"{part!r} is not a schema that anything satisfies")
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        required = [*merged.get("required", []), *part.get("required", [])]
        merged.update(part)
        merged.update({"properties": properties} if properties else {})
        merged.update({"required": required} if required else {})
    return merged


def _kind(task: _Task, schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list) and kind:
        ends = task.is_deep and "null" in kind
        return "null" if ends else str(next((each for each in kind if each != "null"), "null"))
    return str(kind) if kind is not None else _kind_by_keywords(schema)


def _kind_by_keywords(schema: Schema) -> str:
    if schema.keys() & {"properties", "required", "additionalProperties"}:
        return "object"
    if schema.keys() & {"items", "prefixItems", "minItems", "maxItems"}:
        return "array"
    bounds = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    return "number" if schema.keys() & bounds else "string"


def _object(task: _Task, schema: Schema) -> dict[str, Any]:
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    others = schema.get("additionalProperties") or True
    wanted = [] if task.is_deep else list(properties)
    names = dict.fromkeys([*wanted, *required])
    return {name: _value(task.deeper(), properties.get(name, others)) for name in names}


def _array(task: _Task, schema: Schema) -> list[Any]:
    first = schema.get("prefixItems", [])
    rest = schema.get("items", True)
    count = _length(task, schema.get("minItems"), schema.get("maxItems"), usual=len(first) + 2)
    made: list[Any] = []
    for index in range(count):
        # Several tries, since chance may repeat an item that has to be unique.
        for _ in range(20 if schema.get("uniqueItems") else 1):
            item = _value(task.deeper(), first[index] if index < len(first) else rest)
            if item not in made or not schema.get("uniqueItems"):
                made.append(item)
                break
    return made


def _length(task: _Task, least: int | None, most: int | None, usual: int) -> int:
    low = least or 0
    high = max(low, usual) if most is None else min(most, max(low, usual))
    if high < low:
        raise SchemaError(f"nothing is at least {low} and at most {most} long")
    return low if task.is_deep else task.rng.randint(max(low, min(1, high)), high)


def _integer(task: _Task, schema: Schema) -> int:
    # The whole multiples of 3/2 are the multiples of 3, those of 1/4 all whole numbers.
    step = Fraction(str(schema.get("multipleOf", 1))).numerator
    return int(_multiple(task, schema, step))


def _number(task: _Task, schema: Schema) -> float:
    if "multipleOf" in schema:
        return round(_multiple(task, schema, schema["multipleOf"]), 10)
    low, high = _bounds(schema)
    value = low + (high - low) * task.rng.uniform(0.1, 0.9)
    rounded = round(value, 2)
    return rounded if low < rounded < high else value


def _multiple(task: _Task, schema: Schema, step: float) -> float:
    low, high = _bounds(schema)
    first, last = math.ceil(low / step), math.floor(high / step)
    first += first * step == schema.get("exclusiveMinimum")
    last -= last * step == schema.get("exclusiveMaximum")
    if last < first:
        raise SchemaError(f"there is no multiple of {step} from {low:g} to {high:g}")
    return task.rng.randint(first, last) * step


def _bounds(schema: Schema) -> tuple[float, float]:
    lows = [schema[name] for name in ("minimum", "exclusiveMinimum") if name in schema]
    highs = [schema[name] for name in ("maximum", "exclusiveMaximum") if name in schema]
    low = max(lows) if lows else min([0, *(high - 100 for high in highs)])
    high = min(highs) if highs else max(100, low + 100)
    if low > high:
        raise SchemaError(f"no number is from {low:g} to {high:g}")
    return low, high


_BY_KIND: dict[str, Callable[[_Task, Schema], Any]] = {
    "object": _object,
    "array": _array,
    "string": lambda task, schema: sample_string(task.rng, schema),
    "integer": _integer,
    "number": _number,
    "boolean": lambda task, schema: task.rng.random() < 0.5,
    "null": lambda task, schema: None,
}
