"""Embeddings from JSON lines in S3 to Parquet in S3: what vector searches load, as it is."""

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy
import openai
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet
import pytest

from engine.local_run import Bench
from llmbatch_cli.simulator import Simulator, SimulatorSettings
from s3_servers import Bucket

pytest_plugins = ["s3_fixture"]

_ITEMS = [{"sku": f"s-{n}", "text": f"a thing of kind {n % 7}, number {n}"} for n in range(30)]
_DIMENSIONS = 16


async def _asked_directly(url: str) -> list[list[float]]:
    async with openai.AsyncOpenAI(base_url=url, api_key="none") as client:
        texts = [item["text"] for item in _ITEMS]
        response = await client.embeddings.create(model="m", input=texts, dimensions=_DIMENSIONS)
    return [each.embedding for each in response.data]


def _rows(query: str) -> list[Any]:
    found = duckdb.sql(query)
    assert found is not None
    return found.fetchall()


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_embeddings_go_from_s3_to_s3_as_vectors(tmp_path: Path, versitygw: Bucket, encoding: str) -> None:
    half = len(_ITEMS) // 2
    for name, items in (("a", _ITEMS[:half]), ("b", _ITEMS[half:])):
        versitygw.put(f"in/{name}.jsonl", "".join(json.dumps(item) + "\n" for item in items).encode())
    parameters = {"dimensions": _DIMENSIONS, "encoding_format": encoding}
    async with Simulator(SimulatorSettings.parse({})) as sim:
        bench = Bench(tmp_path, sim.url, versitygw.environment)
        bench.batch(
            input={"uri": versitygw.uri("in/*.jsonl"), "idField": "sku"},
            request={"api": "embeddings", "prompt": "{{ text }}", "parameters": parameters},
            output={"uri": versitygw.uri("out"), "format": "parquet", "includeInput": True},
        )
        ended = await bench.run()
        assert ended.code == 0, str(ended)
        expected = numpy.array(await _asked_directly(sim.url), dtype=numpy.float32)
    file = tmp_path / "results.parquet"
    file.write_bytes(versitygw.get("out/results.parquet"))
    _check_types(file)
    _check_values(file, expected)
    _check_distances(file, expected)


def _check_types(file: Path) -> None:
    schema = pyarrow.parquet.read_schema(file)
    assert schema.field("output").type == pa.list_(pa.float32(), _DIMENSIONS)
    assert (schema.field("text").type, schema.field("id").type) == (pa.string(), pa.string())
    assert polars.read_parquet_schema(file)["output"] == polars.Array(polars.Float32, _DIMENSIONS)


def _check_values(file: Path, expected: Any) -> None:
    skus = [item["sku"] for item in _ITEMS]
    frame, table = pandas.read_parquet(file), polars.read_parquet(file)
    assert (list(frame["id"]), table["id"].to_list()) == (skus, skus)
    assert numpy.array_equal(numpy.stack(list(frame["output"])), expected)
    assert numpy.array_equal(table["output"].to_numpy(), expected)


def _check_distances(file: Path, expected: Any) -> None:
    """DuckDB finds the nearest neighbours that numpy finds."""
    wanted = expected[3]
    vector = f"{wanted.tolist()}::float[{_DIMENSIONS}]"
    near = _rows(
        f"select sku, array_cosine_distance(output::float[{_DIMENSIONS}], {vector}) as d "
        f"from read_parquet('{file}') order by d, sku limit 5"
    )
    lengths = numpy.linalg.norm(expected, axis=1) * numpy.linalg.norm(wanted)
    distances = 1 - (expected @ wanted) / lengths
    assert near[0][0] == "s-3"
    assert [d for _, d in near] == pytest.approx(sorted(distances)[:5], abs=1e-4)
