"""Every kind of output, read back by what others read it with."""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from builders import Document

_UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().stream_reader(data).read(),
}


@dataclass(frozen=True)
class Sink:
    """A form of output."""

    format: str
    compression: str = "none"
    layout: str = "merged"
    include_input: bool = False

    @property
    def fields(self) -> Document:
        """Of `spec.output`."""
        given = {"format": self.format, "compression": self.compression, "layout": self.layout}
        return {**given, "includeInput": True} if self.include_input else given

    def results(self, objects: dict[str, bytes]) -> list[Document]:
        """All results, in order, as the format has them."""
        return [row for data in self._result_objects(objects) for row in _READ[self.format](self._unpacked(data))]

    def errors(self, objects: dict[str, bytes]) -> list[Document]:
        """All dead letters, in order."""
        (data,) = [data for name, data in objects.items() if name.startswith("errors.")]
        return _json_lines(_UNPACK[self.compression](data))

    def _unpacked(self, data: bytes) -> bytes:
        return data if self.format == "parquet" else _UNPACK[self.compression](data)

    def _result_objects(self, objects: dict[str, bytes]) -> list[bytes]:
        """Those that the summary names, as it describes them."""
        told = orjson.loads(objects["summary.json"])["output"]["results"]
        if self.layout == "merged":
            assert (told["bytes"], told["sha256"]) == _facts(objects[told["name"]])
            return [objects[told["name"]]]
        manifest = orjson.loads(objects["results/_manifest.json"])
        there = [name for name in objects if name.startswith("results/0")]
        assert there == [f"results/{each['name']}" for each in manifest]
        for each in manifest:
            assert (each["bytes"], each["sha256"]) == _facts(objects[f"results/{each['name']}"])
        return [objects[name] for name in there]


ALL_SINKS = [
    Sink(format_, compression, layout)
    for format_ in ("jsonl", "csv", "openai", "parquet")
    for compression in (("none",) if format_ == "parquet" else ("none", "gzip", "zstd"))
    for layout in ("merged", "sharded")
]


def _facts(data: bytes) -> tuple[int, str]:
    return len(data), hashlib.sha256(data).hexdigest()


def _json_lines(data: bytes) -> list[Document]:
    return [json.loads(line) for line in data.splitlines()]


def _csv_rows(data: bytes) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True))


def _parquet_rows(data: bytes) -> list[Document]:
    rows: list[Document] = pq.read_table(pa.BufferReader(data)).to_pylist()
    return rows


_READ: dict[str, Callable[[bytes], list[Document]]] = {
    "jsonl": _json_lines,
    "openai": _json_lines,
    "csv": _csv_rows,
    "parquet": _parquet_rows,
}
