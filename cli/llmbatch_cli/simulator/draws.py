"""Chance that is not: every draw is a hash of (seed, what it is for, content of the request).

So the same request gets the same fate, text and latency whenever and in whatever order it is asked.
Pure: no clock, no global random state.
"""

import random
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson

_CONTENT_FIELDS = ("messages", "input", "prompt")


def content_key(body: Mapping[str, Any]) -> bytes:
    """The identity of an item: its messages, input or prompt, whatever the model, parameters and headers."""
    content = next((body[name] for name in _CONTENT_FIELDS if name in body), None)
    return blake2b(orjson.dumps(content, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def number(seed: int, purpose: str, key: bytes) -> int:
    """A number of 64 bits."""
    return int.from_bytes(blake2b(b"%d/%b/%b" % (seed, purpose.encode(), key), digest_size=8).digest())


def unit(seed: int, purpose: str, key: bytes) -> float:
    """A number in [0, 1). 53 bits, since all 64 could round up to 1."""
    return (number(seed, purpose, key) >> 11) / (1 << 53)


def source(seed: int, purpose: str, key: bytes) -> random.Random:
    """For the rare answer that needs many draws. Slower to make than a single number."""
    return random.Random(number(seed, purpose, key))
