"""Types of Parquet columns: from a response schema, or from the values themselves. Imported where Parquet is written.

A value that fits no one type is JSON text. Nothing is rounded or left out: a number too large for its column, or an
object with more properties than its schema names, makes the column JSON text.
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any, Final, TypeAlias

import orjson
import pyarrow as pa

JSON: Final = "json"
"""Each value as JSON text."""
ColumnType: TypeAlias = Any
"""An Arrow type, JSON, or None: no value has been seen."""

TIME = pa.timestamp("ms", tz="UTC")
_SCALARS: dict[str, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
}
_OF_PYTHON: dict[type, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_MOST_NESTED = 20


VECTORS = pa.list_(pa.float32())
"""Embeddings of several lengths."""


class UnfitError(Exception):
    """A value is not of its column's type."""


def type_of_schema(schema: Any, root: dict[str, Any] | None = None, depth: int = 0) -> ColumnType:
    """The type of the values that a JSON schema describes."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > _MOST_NESTED:
        return JSON
    if isinstance(ref := schema.get("$ref"), str):
        return type_of_schema(_resolved(ref, root), root, depth + 1)
    options = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(options, list):
        return _of_options([o for o in options if o != {"type": "null"}], root, depth)
    if isinstance(values := schema.get("enum", [schema["const"]] if "const" in schema else None), list):
        found = inferred(values)
        return JSON if found is None else found
    kinds = schema.get("type")
    kinds = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind != "null"]
    return _of_kind(kinds[0], schema, root, depth) if len(kinds) == 1 else JSON


def _of_options(options: list[Any], root: dict[str, Any], depth: int) -> ColumnType:
    found: ColumnType = JSON
    for number, option in enumerate(options):
        of = type_of_schema(option, root, depth + 1)
        if not isinstance(of, pa.DataType) or (number and of != found):
            return JSON
        found = of
    return found


def _of_kind(kind: Any, schema: dict[str, Any], root: dict[str, Any], depth: int) -> ColumnType:
    if kind == "array":
        inner = type_of_schema(schema.get("items"), root, depth + 1)
        return pa.list_(inner) if isinstance(inner, pa.DataType) else JSON
    if kind == "object":
        return _of_object(schema, root, depth)
    return _SCALARS.get(kind, JSON) if isinstance(kind, str) else JSON


def _of_object(schema: dict[str, Any], root: dict[str, Any], depth: int) -> ColumnType:
    """A struct, if there can be no properties but those that the schema names."""
    properties = schema.get("properties")
    if not properties or not isinstance(properties, dict) or schema.get("additionalProperties") is not False:
        return JSON
    if "patternProperties" in schema:
        return JSON
    types: list[tuple[str, pa.DataType]] = []
    for name, inner in properties.items():
        of = type_of_schema(inner, root, depth + 1)
        if not isinstance(of, pa.DataType):  # at once: an object that holds several of its kind has no end
            return JSON
        types.append((name, of))
    return pa.struct(types)


def _resolved(ref: str, root: dict[str, Any]) -> Any:
    """What a reference inside the schema names; None for one that leaves it."""
    if not ref.startswith("#/"):
        return None
    found: Any = root
    for part in ref[2:].split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found


def inferred(values: Iterable[Any]) -> ColumnType:
    """The type of values of JSON."""
    return reduce(unified, {_of_value(value) for value in values}, None)


def _of_value(value: Any) -> ColumnType:
    if value is None:
        return None
    if isinstance(value, list):
        inner = reduce(unified, {_of_value(v) for v in value}, None)
        if inner is None:
            return None if not value else JSON
        return pa.list_(inner) if isinstance(inner, pa.DataType) and not pa.types.is_list(inner) else JSON
    return _OF_PYTHON.get(type(value), JSON)


def unified(one: ColumnType, other: ColumnType) -> ColumnType:
    """A type for the values of both."""
    if one is None or other is None:
        return one if other is None else other
    if not isinstance(one, pa.DataType) or not isinstance(other, pa.DataType):
        return JSON
    if one == other:
        return one
    if {one, other} == {pa.int64(), pa.float64()}:
        return pa.float64()
    if pa.types.is_list(one) and pa.types.is_list(other):
        inner = unified(one.value_type, other.value_type)
        return pa.list_(inner) if isinstance(inner, pa.DataType) else JSON
    return JSON


def vector_of(values: Iterable[Any]) -> ColumnType:
    """The type of embeddings: lists as long as the first of them."""
    first = next((value for value in values if isinstance(value, list) and value), None)
    return None if first is None else pa.list_(pa.float32(), len(first))


def arrow_of(of: ColumnType) -> pa.DataType:
    """The type as it stands in the file; a column without values is one of texts."""
    return of if isinstance(of, pa.DataType) else pa.string()


def stays(before: ColumnType, now: ColumnType) -> bool:
    """Whether what was written as the one type is right as the other. Texts are not: as JSON they have quotes."""
    return before == now or (before is None and arrow_of(now) == arrow_of(None))


def array_of(values: Sequence[Any], of: ColumnType) -> pa.Array:
    """Values as a column. Raises UnfitError."""
    if of == JSON:
        return pa.array([None if v is None else orjson.dumps(v).decode() for v in values], pa.string())
    target = arrow_of(of)
    if _is_changed(values, target):
        raise UnfitError(f"a value would not stay the same as {target}")
    try:
        if pa.types.is_timestamp(target):
            return pa.array(values, pa.string()).cast(target)
        return pa.array(values, target)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise UnfitError(str(error)) from error


def _is_changed(values: Iterable[Any], of: pa.DataType) -> bool:
    """Whether pyarrow would make something else of values without a word: 1 of 1.5, 1.0 of true, letters of a text."""
    if pa.types.is_integer(of):
        return any(type(value) is float and not value.is_integer() for value in values)
    if pa.types.is_floating(of):
        return bool in set(map(type, values))
    if pa.types.is_list(of) or pa.types.is_fixed_size_list(of):
        lists = [value for value in values if value is not None]
        return any(not isinstance(each, list) or _is_changed(each, of.value_type) for each in lists)
    if pa.types.is_struct(of):
        objects = [value for value in values if value is not None]
        fields = {field.name: field.type for field in of}
        return any(not isinstance(each, dict) or not each.keys() <= fields.keys() for each in objects) or any(
            _is_changed([each.get(name) for each in objects], inner) for name, inner in fields.items()
        )
    return False
