"""How one reads items with pandas: the whole object into memory, and a frame out of it."""

import io
from typing import Any

import boto3
import pandas

from benchmarks.inside.timing import Stretch
from benchmarks.processes import memory_mb


def measure(bucket: str, key: str, form: str) -> dict[str, Any]:
    """Read an object of a form (jsonl or parquet), and look for ids that are there twice."""
    stretch = Stretch()
    data = io.BytesIO(boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    frame = pandas.read_parquet(data) if form == "parquet" else pandas.read_json(data, lines=True)
    if frame["id"].duplicated().any():
        raise RuntimeError("an id is there twice")
    return {**stretch.end(len(frame)), "peak_mb": memory_mb()[1]}
