"""Counts calls in the API server's audit log, between two moments."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Event = dict[str, Any]
Calls = Counter[tuple[str, str]]
"""How often, by verb and resource."""

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


def log_size(log: Path | None) -> int:
    """Where the log ends now; 0 where there is none."""
    return log.stat().st_size if log is not None else 0


def events_of(log: Path, start: int, end: int) -> Iterable[Event]:
    """Calls that were answered, between two sizes of the log."""
    with log.open("rb") as file:
        file.seek(start)
        for line in file.read(end - start).splitlines(keepends=True):
            if line.endswith(b"\n") and (event := json.loads(line))["stage"] == "ResponseComplete":
                yield event


def count(events: Iterable[Event], is_counted: Callable[[Event], bool]) -> Calls:
    """Calls by verb and resource."""
    return Counter((event["verb"], _resource(event)) for event in events if is_counted(event))


def by_agent(*agents: str) -> Callable[[Event], bool]:
    """Whether one of these programs has made a call."""
    return lambda event: str(event.get("userAgent", "")).startswith(agents)


def _resource(event: Event) -> str:
    target = event.get("objectRef") or {}
    return "/".join(filter(None, (target.get("resource", event.get("requestURI", "")), target.get("subresource"))))
