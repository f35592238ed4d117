"""Columns of Parquet to the values of items, which are those of JSON: templates, records and outputs can hold them.

| in Parquet                     | in an item                                                                    |
|--------------------------------|-------------------------------------------------------------------------------|
| boolean, integers              | as they are, with all their digits (unsigned, too)                            |
| floats                         | numbers; NaN and infinities are null; 32-bit ones have the digits they need   |
| decimal                        | text with all its digits, `"12.50"`                                           |
| text, enum, uuid               | text                                                                          |
| JSON                           | what it says; text where it is none                                           |
| binary                         | text: base64                                                                  |
| date, time                     | text: `2026-01-31`, `09:30:00`                                                |
| timestamp                      | text: `2026-01-31T09:30:00.250`, with `Z` at its end if it is a moment (UTC)  |
| duration                       | text: `PT1.5S`                                                                |
| list, struct, map              | lists and objects; the keys of a map become text                              |

pyarrow is imported where it is used: only those who read Parquet need it.
"""

import base64
import functools
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    import pyarrow as pa

Values = list[Any]


def values_of(array: "pa.Array") -> Values:
    """The values of a column, null as None. Raises UnicodeDecodeError for text that is not UTF-8."""
    return _converter(array.type)(array)


@functools.lru_cache(maxsize=1024)
def _converter(type_: "pa.DataType") -> "Callable[[pa.Array], Values]":
    import pyarrow as pa

    if isinstance(type_, pa.BaseExtensionType):
        return _EXTENSIONS.get(type_.extension_name, _stored)
    is_a = pa.types
    found: list[tuple[bool, Callable[[pa.Array], Values]]] = [
        (is_a.is_dictionary(type_), _of_dictionary),
        (is_a.is_floating(type_), _floats),
        (is_a.is_decimal(type_), _decimals),
        (is_a.is_timestamp(type_), _timestamps),
        (is_a.is_date(type_), _dates),
        (is_a.is_time(type_), _times),
        (is_a.is_duration(type_), _durations),
        (any(check(type_) for check in (is_a.is_binary, is_a.is_large_binary, is_a.is_binary_view)), _binaries),
        (is_a.is_fixed_size_binary(type_), _binaries),
        (is_a.is_struct(type_), _structs),
        (is_a.is_map(type_), _maps),
        (is_a.is_list(type_) or is_a.is_large_list(type_), _lists),
        (is_a.is_fixed_size_list(type_), _fixed_size_lists),
        (is_a.is_nested(type_), _nested),
    ]
    return next((convert for is_it, convert in found if is_it), _as_they_are)


def _as_they_are(array: "pa.Array") -> Values:
    return array.to_pylist()  # type: ignore[no-any-return]


def _each(convert: Callable[[Any], Any], values: Values) -> Values:
    return [None if value is None else convert(value) for value in values]


def _of_dictionary(array: "pa.Array") -> Values:
    """Values that stand often are converted once."""
    values = values_of(array.dictionary)
    return [None if index is None else values[index] for index in array.indices.to_pylist()]


def _floats(array: "pa.Array") -> Values:
    import pyarrow as pa
    import pyarrow.compute as pc

    if array.type != pa.float64():  # 0.1 stays 0.1, and does not become 0.10000000149011612
        array = array.cast(pa.float32()).cast(pa.string()).cast(pa.float64())
    return pc.if_else(pc.is_finite(array), array, None).to_pylist()  # type: ignore[no-any-return]


def _decimals(array: "pa.Array") -> Values:
    return _each(lambda value: format(value, "f"), array.to_pylist())


def _timestamps(array: "pa.Array") -> Values:
    import pyarrow as pa
    import pyarrow.compute as pc

    utc = array.view(pa.timestamp(array.type.unit))
    texts = pc.replace_substring(utc.cast(pa.string()), " ", "T", max_replacements=1)
    texts = _without_zeros(texts)
    if array.type.tz is not None:
        texts = pc.binary_join_element_wise(texts, "Z", "")
    return texts.to_pylist()  # type: ignore[no-any-return]


def _dates(array: "pa.Array") -> Values:
    import pyarrow as pa

    return array.cast(pa.date32()).cast(pa.string()).to_pylist()  # type: ignore[no-any-return]


def _times(array: "pa.Array") -> Values:
    import pyarrow as pa

    return _without_zeros(array.cast(pa.string())).to_pylist()  # type: ignore[no-any-return]


def _without_zeros(texts: "pa.Array") -> "pa.Array":
    """Seconds have no fraction, or one of 3, 6 or 9 digits: as many as it takes."""
    import pyarrow.compute as pc

    return pc.replace_substring_regex(texts, r"\.?(000)+$", "")


_TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def _durations(array: "pa.Array") -> Values:
    import pyarrow as pa

    ticks = _TICKS[array.type.unit]
    return _each(lambda value: _duration(value, ticks), array.cast(pa.int64()).to_pylist())


def _duration(value: int, ticks: int) -> str:
    seconds, rest = divmod(abs(value), ticks)
    fraction = str(ticks + rest)[1:].rstrip("0")
    return f"{'-' if value < 0 else ''}PT{seconds}{'.' if fraction else ''}{fraction}S"


def _binaries(array: "pa.Array") -> Values:
    return _each(lambda value: base64.b64encode(value).decode(), array.to_pylist())


def _structs(array: "pa.Array") -> Values:
    names = [field.name for field in array.type]
    rows = zip(*map(values_of, array.flatten()), strict=True) if names else iter([()] * len(array))
    items = [dict(zip(names, row, strict=True)) for row in rows]
    return _with_nulls(array, items)


def _lists(array: "pa.Array") -> Values:
    offsets = array.offsets.to_pylist()
    first = offsets[0]
    values = values_of(array.values.slice(first, offsets[-1] - first))
    lists = [values[a - first : b - first] for a, b in itertools.pairwise(offsets)]
    return _with_nulls(array, lists)


def _maps(array: "pa.Array") -> Values:
    offsets = array.offsets.to_pylist()
    first, length = offsets[0], offsets[-1] - offsets[0]
    keys = [_key(key) for key in values_of(array.keys.slice(first, length))]
    values = values_of(array.items.slice(first, length))
    bounds = [(a - first, b - first) for a, b in itertools.pairwise(offsets)]
    return _with_nulls(array, [dict(zip(keys[a:b], values[a:b], strict=True)) for a, b in bounds])


def _key(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _fixed_size_lists(array: "pa.Array") -> Values:
    size = array.type.list_size
    values = values_of(array.values.slice(array.offset * size, len(array) * size))
    return _with_nulls(array, [values[at * size : (at + 1) * size] for at in range(len(array))])


def _with_nulls(array: "pa.Array", values: Values) -> Values:
    if not array.null_count:
        return values
    return [value if is_there else None for value, is_there in zip(values, array.is_valid().to_pylist(), strict=True)]


def _nested(array: "pa.Array") -> Values:
    """Kinds of lists that Parquet files rarely ask for."""
    return [None if not each.is_valid else values_of(each.values) for each in array]


def _stored(array: "pa.Array") -> Values:
    return values_of(array.storage)


def _uuids(array: "pa.Array") -> Values:
    return _each(str, array.to_pylist())


def _jsons(array: "pa.Array") -> Values:
    return _each(_json, array.storage.to_pylist())


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


_EXTENSIONS = {"arrow.uuid": _uuids, "arrow.json": _jsons}
