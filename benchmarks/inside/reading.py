"""The plainest loops that read and parse a file: as fast as planning could be."""

import csv
import gzip
from pathlib import Path
from typing import Any

import orjson

from benchmarks.inside.timing import Stretch


def measure(source: str, form: str) -> dict[str, Any]:
    """Read a file of a form: jsonl, csv or gzip."""
    stretch = Stretch()
    items, size = _csv(Path(source)) if form == "csv" else _jsonl(Path(source), is_packed=form == "gzip")
    return stretch.end(items, bytes=size)


def _jsonl(path: Path, *, is_packed: bool) -> tuple[int, int]:
    items = size = 0
    with gzip.open(path) if is_packed else path.open("rb") as file:
        for line in file:
            orjson.loads(line)
            items += 1
            size += len(line)
    return items, size


def _csv(path: Path) -> tuple[int, int]:
    with path.open(newline="", encoding="utf-8") as file:
        items = sum(1 for _ in csv.reader(file)) - 1
    return items, path.stat().st_size
