"""pandas, Polars and DuckDB open every output and find the same values in it, and OpenAI's scripts read theirs."""

import io
import json
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pandas
import polars
import pyarrow.parquet
import pytest

from builders import Document
from outputs.finished import ANSWER, finished
from sharded import CREATED_AT, result

_PACKED = [("jsonl", "none"), ("jsonl", "gzip"), ("jsonl", "zstd"), ("csv", "none"), ("csv", "gzip"), ("csv", "zstd"),
           ("parquet", "none")]  # fmt: skip
_LAYOUTS = ["merged", "sharded"]
_ITEMS = 10


def _answered(number: int) -> Document:
    answer = {"category": "bug" if number % 2 else "billing", "stars": number % 5}
    return result(number, output=answer, completed_at=CREATED_AT, trace_id="t")


def _written(folder: Path, format_: str, compression: str, layout: str) -> Path:
    """The results, or their folder."""
    made = finished(
        folder, _ITEMS, 4, request={"responseSchema": ANSWER},
        output={"format": format_, "compression": compression, "layout": layout, "fields": ["id", "category", "stars"]},
    )  # fmt: skip
    made.fill(_answered)
    summary = made.finalize()
    return made.output / str(summary["output"]["results"]["name"])


_EXPECTED = [(f"id-{n}", "bug" if n % 2 else "billing", n % 5) for n in range(_ITEMS)]


def _objects(results: Path) -> list[Path]:
    return sorted(results.glob("0*")) if results.is_dir() else [results]


def _glob(results: Path) -> str:
    return f"{results}/[0-9]*" if results.is_dir() else str(results)


def _by_pandas(path: Path) -> pandas.DataFrame:
    if ".parquet" in path.name:
        return pandas.read_parquet(path)
    return pandas.read_csv(path) if ".csv" in path.name else pandas.read_json(path, lines=True)


def _by_polars(path: Path) -> polars.DataFrame:
    if ".parquet" in path.name:
        return polars.read_parquet(path)
    return polars.read_csv(path) if ".csv" in path.name else polars.scan_ndjson(path).collect()


def _by_duckdb(query: str) -> list[Any]:
    found = duckdb.sql(query)
    assert found is not None
    return found.fetchall()


@pytest.mark.parametrize("layout", _LAYOUTS)
@pytest.mark.parametrize(("format_", "compression"), _PACKED)
def test_pandas_polars_and_duckdb_read_the_same_values(
    tmp_path: Path, format_: str, compression: str, layout: str
) -> None:
    results = _written(tmp_path, format_, compression, layout)
    tables = [_by_pandas(path) for path in _objects(results)]
    assert list(pandas.concat(tables).itertuples(index=False, name=None)) == _EXPECTED
    assert [row for path in _objects(results) for row in _by_polars(path).rows()] == _EXPECTED
    reader = {"jsonl": "read_json", "csv": "read_csv", "parquet": "read_parquet"}[format_]
    found = _by_duckdb(f"select id, category, stars from {reader}('{_glob(results)}') order by id")
    assert found == sorted(_EXPECTED)


def test_a_folder_of_parquet_is_a_data_set_without_its_manifest(tmp_path: Path) -> None:
    results = _written(tmp_path, "parquet", "none", "sharded")
    assert polars.read_parquet(results / "*.parquet").height == _ITEMS
    assert pyarrow.parquet.read_table(results).num_rows == _ITEMS  # names with _ at their start are passed over
    assert pandas.read_parquet(results).shape == (_ITEMS, 3)


def test_embeddings_are_vectors_of_a_fixed_size(tmp_path: Path) -> None:
    made = finished(tmp_path, request={"api": "embeddings"}, output={"format": "parquet"})
    made.fill(lambda n: result(n, output=[n / 4, 0.5, -1.0]))
    made.finalize()
    table = pyarrow.parquet.read_table(made.output / "results.parquet")
    assert table.schema.field("output").type == pyarrow.list_(pyarrow.float32(), 3)
    assert table["output"].to_pylist()[2] == [0.5, 0.5, -1.0]
    frame = polars.read_parquet(made.output / "results.parquet")
    assert frame["output"].dtype == polars.Array(polars.Float32, 3)
    near = _by_duckdb(
        f"select id from read_parquet('{made.output}/results.parquet') "
        "order by array_distance(output::float[3], [1.5, 0.5, -1.0]::float[3]) limit 1"
    )
    assert near == [("id-6",)]


def _read_as_openai_says(output: str) -> dict[str, str]:
    """As in OpenAI's cookbook: https://cookbook.openai.com/examples/batch_processing."""
    results: list[dict[str, Any]] = []
    for line in io.StringIO(output):
        json_object = json.loads(line.strip())
        results.append(json_object)
    return {res["custom_id"]: res["response"]["body"]["choices"][0]["message"]["content"] for res in results}


def test_a_script_for_openai_output_reads_ours(tmp_path: Path) -> None:
    made = finished(tmp_path, output={"format": "openai"})
    body = {"id": "chatcmpl-1", "object": "chat.completion", "choices": [{"message": {"content": "ü 你好"}}]}
    made.fill(lambda n: result(n, response={"status_code": 200, "request_id": "r", "body": body}))
    made.finalize()
    text = (made.output / "results.jsonl").read_text()
    assert _read_as_openai_says(text) == {f"id-{n}": "ü 你好" for n in range(7)}
    assert set(orjson.loads(text.splitlines()[0])) == {"id", "custom_id", "response", "error"}
