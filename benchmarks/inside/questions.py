"""The questions that clients without the engine ask: the same that the engine makes of the same items."""

from typing import Any

from benchmarks.workload import PROMPT_BYTES, SYSTEM, items


def conversations(count: int) -> list[list[dict[str, Any]]]:
    """The messages for each item."""
    return [
        [{"role": "system", "content": SYSTEM}, {"role": "user", "content": item["text"]}]
        for item in items(count, PROMPT_BYTES)
    ]


def bodies(count: int) -> list[dict[str, Any]]:
    """The request for each item."""
    return [{"model": "m", "temperature": 0, "messages": messages} for messages in conversations(count)]
