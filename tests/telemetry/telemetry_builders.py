"""Telemetry for tests: one span, and a process's telemetry that ends with the test."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from llmbatch_telemetry.spans import Span
from llmbatch_telemetry.starting import start_telemetry
from llmbatch_telemetry.telemetry import Telemetry

TRACE = "0af7651916cd43dd8448eb211c80319c"
ROOT = "b7ad6b7169203331"


def span(number: int = 1, **changes: Any) -> Span:
    """A span below the root; its id is its number."""
    fields: dict[str, Any] = {
        "name": "shard",
        "trace_id": TRACE,
        "span_id": f"{number:016x}",
        "parent_id": ROOT,
        "start": 1_800_000_000.25,
        "end": 1_800_000_001.75,
    }
    return Span(**(fields | changes))


@contextmanager
def telemetry(environment: Mapping[str, str], close_s: float = 5, **resource: str) -> Iterator[Telemetry]:
    """Started, and closed at the end."""
    attributes = {key.replace("_", "."): value for key, value in resource.items()}
    started = start_telemetry("llmbatch-worker", attributes, environment=environment)
    try:
        yield started
    finally:
        started.close(close_s)


def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
