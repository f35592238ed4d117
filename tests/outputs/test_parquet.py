"""Parquet has typed columns, alike in all objects of a batch, and holds every value as it was."""

import random
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import Document
from llmbatch_worker.finalizing import parquet_form
from llmbatch_worker.finalizing.parquet_types import JSON, UnfitError, array_of, inferred, type_of_schema, unified
from outputs.finished import ANSWER, Finished, finished
from sharded import letter, result

_STRUCT = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"x": {"type": "integer"}, "y": {"type": ["string", "null"]}},
}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param({"type": "string"}, pa.string(), id="text"),
        pytest.param({"type": ["string", "null"]}, pa.string(), id="text or null"),
        pytest.param({"anyOf": [{"type": "integer"}, {"type": "null"}]}, pa.int64(), id="a number or null"),
        pytest.param({"type": "number"}, pa.float64(), id="number"),
        pytest.param({"type": "boolean"}, pa.bool_(), id="boolean"),
        pytest.param({"enum": ["a", "b", None]}, pa.string(), id="texts of a list"),
        pytest.param({"enum": [1, 2]}, pa.int64(), id="numbers of a list"),
        pytest.param({"enum": [1, "a"]}, JSON, id="one of several kinds"),
        pytest.param({"const": "a"}, pa.string(), id="one text"),
        pytest.param({"const": None}, JSON, id="null"),
        pytest.param({"type": "array", "items": {"type": "integer"}}, pa.list_(pa.int64()), id="list"),
        pytest.param({"type": "array"}, JSON, id="a list of anything"),
        pytest.param(
            {"type": "array", "items": _STRUCT},
            pa.list_(pa.struct([("x", pa.int64()), ("y", pa.string())])),
            id="list of objects",
        ),
        pytest.param(
            {"type": "object", "properties": {"x": {"type": "integer"}}}, JSON, id="an object with any fields"
        ),
        pytest.param(_STRUCT | {"patternProperties": {}}, JSON, id="an object with fields by pattern"),
        pytest.param({"type": ["string", "integer"]}, JSON, id="two kinds"),
        pytest.param({"anyOf": [{"type": "string"}, {"type": "integer"}]}, JSON, id="one of two kinds"),
        pytest.param({"allOf": [{"type": "string"}]}, JSON, id="what is too hard to say"),
        pytest.param({"$ref": "#/$defs/Size"}, pa.int64(), id="reference"),
        pytest.param({"$ref": "#/$defs/Tree"}, JSON, id="a reference to itself"),
        pytest.param({"$ref": "https://example.com/schema"}, JSON, id="a reference to elsewhere"),
        pytest.param({}, JSON, id="anything"),
        pytest.param(True, JSON, id="true"),
    ],
)
def test_the_type_of_a_column_follows_from_the_schema(schema: Any, expected: Any) -> None:
    tree = {"type": "array", "items": {"$ref": "#/$defs/Tree"}}
    root = {"properties": {"p": schema}, "$defs": {"Size": {"type": "integer"}, "Tree": tree}}
    assert type_of_schema(schema, root) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([None, 1, 2], pa.int64(), id="whole numbers"),
        pytest.param([1, 2.5], pa.float64(), id="numbers"),
        pytest.param([True, None], pa.bool_(), id="true and false"),
        pytest.param([True, 1], JSON, id="true is no number"),
        pytest.param(["a", "b"], pa.string(), id="texts"),
        pytest.param(["a", 1], JSON, id="texts and numbers"),
        pytest.param([{"a": 1}], JSON, id="objects"),
        pytest.param([[1, 2], [2.5], []], pa.list_(pa.float64()), id="lists"),
        pytest.param([[[1]]], JSON, id="lists of lists"),
        pytest.param([[1], 1], JSON, id="lists and numbers"),
        pytest.param([None, None], None, id="nothing"),
    ],
)
def test_the_type_of_a_column_of_the_input_follows_from_its_values(values: list[Any], expected: Any) -> None:
    assert inferred(values) == expected


@pytest.mark.parametrize(
    ("values", "of"),
    [
        pytest.param([1.5], pa.int64(), id="a fraction"),
        pytest.param([2**63], pa.int64(), id="too large"),
        pytest.param([2**53 + 1], pa.float64(), id="not exact"),
        pytest.param([True], pa.int64(), id="true as a number"),
        pytest.param([1], pa.bool_(), id="a number as true"),
        pytest.param([1], pa.string(), id="a number as text"),
        pytest.param(["1"], pa.int64(), id="a text as a number"),
        pytest.param(["ab"], pa.list_(pa.string()), id="a text as a list"),
        pytest.param([[1.0, 2.0]], pa.list_(pa.float32(), 3), id="a vector of another length"),
        pytest.param(["noon"], pa.timestamp("ms", tz="UTC"), id="no time"),
    ],
)
def test_no_value_is_made_to_fit(values: list[Any], of: Any) -> None:
    with pytest.raises(UnfitError):
        array_of(values, of)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=2),
    max_leaves=5,
)  # fmt: skip


@given(st.lists(_JSON, max_size=6), st.lists(_JSON, max_size=6))
def test_a_type_for_two_lists_of_values_does_not_depend_on_their_order(one: list[Any], other: list[Any]) -> None:
    assert unified(inferred(one), inferred(other)) == unified(inferred(other), inferred(one)) == inferred(one + other)


def _read(made: Finished, name: str = "results.parquet") -> pa.Table:
    return pyarrow.parquet.read_table(made.output / name)


def _as_json(value: Any) -> Any:
    """What a cell of JSON text says."""
    return None if value is None else orjson.loads(value)


_ORJSON = _JSON.filter(lambda v: orjson_can(v))


def orjson_can(value: Any) -> bool:
    """Whether a value can be in a record: numbers have at most 64 bits."""
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


@settings(max_examples=60)
@given(rows=st.lists(st.fixed_dictionaries({"a": _ORJSON, "b": st.none() | st.integers(0, 9)}), min_size=1, max_size=9),
       sharded=st.booleans())  # fmt: skip
def test_any_columns_of_the_input_come_back_as_they_were(rows: list[Document], sharded: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_form, "_CHUNK_ROWS", 2)
        patch.setattr(parquet_form, "GROUP_ROWS", 4)
        made = finished(
            Path(folder), len(rows), 3, item=lambda n: {"id": f"id-{n}", **rows[n]},
            output={"format": "parquet", "includeInput": True, "layout": "sharded" if sharded else "merged"},
        )  # fmt: skip
        made.fill(lambda n: result(n, input={"id": f"id-{n}", **rows[n]}))
        made.finalize()
        names = [n for n in made.names() if n.endswith(".parquet")]
        tables = [_read(made, name) for name in names]
        assert len({table.schema for table in tables}) == 1
        table = pa.concat_tables(tables)
        for name in ("a", "b"):
            expected = [row[name] for row in rows]
            found = table[name].to_pylist()
            kinds = {type(v) for v in expected if v is not None}
            is_text = pa.types.is_string(table.schema.field(name).type) and kinds - {str}
            assert [_as_json(v) for v in found] == expected if is_text else found == expected


def test_a_column_whose_later_values_do_not_fit_is_written_again_with_a_type_that_does(tmp_path: Path) -> None:
    made = finished(
        tmp_path, 3000, 1000, fields=["n", "late"],
        output={"format": "parquet", "includeInput": True, "layout": "sharded", "fields": ["index", "n", "late"]},
    )  # fmt: skip
    made.fill(lambda i: result(i, input={"n": i if i < 2500 else i + 0.5, "late": None if i < 2500 else i}))
    made.finalize()
    tables = [_read(made, name) for name in made.names() if name.endswith(".parquet")]
    assert len(tables) == 3
    for table in tables:
        assert table.schema.types == [pa.int64(), pa.float64(), pa.int64()]
    assert pa.concat_tables(tables)["n"].to_pylist() == [i if i < 2500 else i + 0.5 for i in range(3000)]


@pytest.mark.parametrize("layout", ["merged", "sharded"])
def test_texts_are_written_again_as_json_when_later_values_are_no_texts(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_form, "_CHUNK_ROWS", 2)
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    form = {"format": "parquet", "layout": layout}
    made = finished(tmp_path, items=7, request={"responseSchema": schema}, output=form)
    made.fill(lambda n: result(n, output={"a": f"text {n}" if n < 6 else 6}))
    made.finalize()
    tables = [pa.parquet.read_table(file) for file in sorted(made.output.rglob("*.parquet"))]
    values = [value for table in tables for value in table.column("a").to_pylist()]
    assert values == [*(f'"text {n}"' for n in range(6)), "6"]


def test_a_schema_of_objects_that_hold_many_of_their_kind_is_json_at_once() -> None:
    names = [f"child{n}" for n in range(40)]
    node = {"type": "object", "additionalProperties": False, "properties": {n: {"$ref": "#/$defs/n"} for n in names}}
    assert type_of_schema({"$ref": "#/$defs/n", "$defs": {"n": node}}) == JSON


def test_results_have_the_columns_of_the_record_and_of_the_answer(tmp_path: Path) -> None:
    made = finished(tmp_path, request={"responseSchema": ANSWER}, output={"format": "parquet"})
    answer = {"category": "bug", "stars": 3}
    usage = {"input_tokens": 2, "output_tokens": 1, "total_tokens": 3, "cached_tokens": 1}
    made.fill(
        lambda n: (
            letter(n) if n == 2 else result(n, output=answer, usage=usage, completed_at="2026-01-01T00:00:01.500Z")
        )
    )
    made.finalize()
    table = _read(made)
    assert table.to_pylist()[0] == {
        "id": "id-0", "index": 0, "output": '{"category":"bug","stars":3}', "category": "bug", "stars": 3,
        "finish_reason": "stop", "model": "m", "input_tokens": 2, "output_tokens": 1, "cached_tokens": 1,
        "reasoning_tokens": 0, "attempts": 1, "latency_ms": 5.0,
        "completed_at": datetime(2026, 1, 1, 0, 0, 1, 500_000, UTC), "trace_id": None,
    }  # fmt: skip
    assert table["index"].to_pylist() == [0, 1, 3, 4, 5, 6]
    assert made.objects()["errors.jsonl"].count(b"\n") == 1


def test_vectors_of_several_lengths_and_in_base64_are_written_all_the_same(tmp_path: Path) -> None:
    made = finished(tmp_path, request={"api": "embeddings"}, output={"format": "parquet"})
    made.fill(lambda n: result(n, output="AACAPwAAAEA=" if n < 5 else [1.0, 2.0, 3.0]))
    made.finalize()
    assert _read(made)["output"].to_pylist() == [[1.0, 2.0]] * 5 + [[1.0, 2.0, 3.0]] * 2


def test_a_batch_without_results_has_a_file_with_its_columns(tmp_path: Path) -> None:
    made = finished(tmp_path, output={"format": "parquet", "fields": ["id", "index"]})
    made.fill(letter)
    made.finalize()
    assert _read(made).schema.names == ["id", "index"]
    assert _read(made).num_rows == 0


def test_row_groups_are_bounded(tmp_path: Path) -> None:
    made = finished(tmp_path, 3000, 3000, output={"format": "parquet"})
    made.fill(lambda n: result(n, output="x" * 5000))
    made.finalize()
    found = pyarrow.parquet.ParquetFile(made.output / "results.parquet").metadata
    assert found.num_rows == 3000
    assert 3 <= found.num_row_groups <= 5


def test_answers_that_do_not_repeat_are_soon_written_without_a_dictionary(tmp_path: Path) -> None:
    made = finished(tmp_path, 800, 800, output={"format": "parquet"})
    made.fill(lambda n: result(n, output=random.Random(n).randbytes(2000).hex()))
    made.finalize()
    group = pyarrow.parquet.read_metadata(made.output / "results.parquet").row_group(0)
    [answers] = [c for c in map(group.column, range(group.num_columns)) if c.path_in_schema == "output"]
    assert answers.data_page_offset - answers.dictionary_page_offset < 300_000
