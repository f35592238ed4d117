"""Values as Parquet columns: as they are, or as JSON text; never as something else."""

from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbatch_worker.finalizing.parquet_types import JSON, UnfitError, array_of, inferred, type_of_schema, unified


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        pytest.param([1, 1.5], pa.int64(), id="a fraction among whole numbers"),
        pytest.param([[1], [1.5]], pa.list_(pa.int64()), id="a fraction in a list"),
        pytest.param([True], pa.float64(), id="true among numbers"),
        pytest.param([True], pa.int64(), id="true among whole numbers"),
        pytest.param([2**63], pa.int64(), id="more than 64 bits"),
        pytest.param([2**60 + 1], pa.float64(), id="more digits than a double has"),
        pytest.param([{"a": 1, "b": 2}], pa.struct({"a": pa.int64()}), id="a property without a column"),
        pytest.param([{"a": 0.5}], pa.struct({"a": pa.int64()}), id="a fraction in an object"),
        pytest.param(["1"], pa.int64(), id="text among numbers"),
        pytest.param([1], pa.string(), id="a number among texts"),
    ],
)
def test_a_value_that_would_become_another_does_not_fit(values: list[Any], type_: pa.DataType) -> None:
    with pytest.raises(UnfitError):
        array_of(values, type_)


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        pytest.param([1, None, 2.0], pa.int64(), [1, None, 2], id="a whole number that is written as 2.0"),
        pytest.param([1, 0.5], pa.float64(), [1.0, 0.5], id="whole numbers among numbers"),
        pytest.param([{"a": 1}, {}, None], pa.struct({"a": pa.int64()}), [{"a": 1}, {"a": None}, None], id="objects"),
        pytest.param([[1, 0.5], None], pa.list_(pa.float32(), 2), [[1.0, 0.5], None], id="vectors"),
    ],
)
def test_a_value_that_stays_the_same_fits(values: list[Any], type_: pa.DataType, expected: list[Any]) -> None:
    assert array_of(values, type_).to_pylist() == expected


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(first=st.lists(_VALUES, max_size=4), later=st.lists(_VALUES, max_size=4))
def test_nothing_is_rounded_or_left_out_whatever_came_before(first: list[Any], later: list[Any]) -> None:
    for type_ in (inferred(first), unified(inferred(first), inferred(later)), JSON):
        try:
            found = array_of(later, type_).to_pylist()
        except UnfitError:
            continue
        assert found == ([None if v is None else orjson.dumps(v).decode() for v in later] if type_ == JSON else later)


def test_a_schema_gives_columns_their_types() -> None:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"n": {"type": "integer"}, "tags": {"type": "array", "items": {"enum": ["a", "b"]}}},
    }
    assert type_of_schema(schema) == pa.struct({"n": pa.int64(), "tags": pa.list_(pa.string())})
