"""A span as a value: whoever has seen something from beginning to end makes one, at its end."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Value = str | bool | int | float | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened at one moment."""

    name: str
    at: float
    """Unix time."""
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """Another span that this one has to do with."""

    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took from `start` to `end`, in Unix time."""

    name: str
    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits."""
    parent_id: str | None
    start: float
    end: float
    attributes: Mapping[str, Value] = field(default_factory=dict)
    is_client: bool = False
    """A call of another service, rather than work of our own."""
    error: str | None = None
    """What went wrong, in a sentence without content; None: nothing did."""
    events: tuple[SpanEvent, ...] = ()
    links: tuple[Link, ...] = ()


def new_span_id(bits: int) -> str:
    """64 random bits as the id of a span."""
    return f"{bits or 1:016x}"
