"""Byte ranges and ETags of HTTP requests, as far as the coordinator keeps to them. Pure."""

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


@dataclass(frozen=True)
class Span:
    """The bytes of an object that are asked for."""

    start: int
    end: int
    is_part: bool


class RangeError(Exception):
    """The object has no byte in the range that is asked for."""


def span(header: str | None, size: int) -> Span:
    """What a Range header asks of an object; what is not one plain range of bytes is passed over. Raises RangeError."""
    match = _RANGE.fullmatch(header or "")
    if match is None or not (match[1] or match[2]):
        return Span(0, size, is_part=False)
    if not match[1]:
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            return Span(0, size, is_part=False)
    if start >= end:
        raise RangeError
    return Span(start, end, is_part=True)


def is_match(if_match: str | None, etag: str) -> bool:
    """Whether an If-Match header allows this ETag."""
    if if_match is None:
        return True
    return any(each.strip().strip('"') in (etag, "*") for each in if_match.split(","))
