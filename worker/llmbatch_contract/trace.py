"""The trace that a batch is: its ids are fixed when it is created, so that every process knows them without asking.

Ids and `traceparent` are those of W3C Trace Context, https://www.w3.org/TR/trace-context/.
"""

import hashlib
import re

from pydantic import Field

from llmbatch_contract.model import Model

TRACEPARENT = "traceparent"
"""Annotation of an LLMBatch that makes it part of the caller's trace."""

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")


class BatchTrace(Model):
    """Where the spans of a batch belong."""

    trace_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    span_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    """Of the span that is the whole batch; it is exported when the batch has ended."""
    parent_id: str | None = Field(default=None, pattern=r"^[0-9a-f]{16}$")
    """The caller's span, where the batch is part of a trace that began before."""


def trace_of(uid: str, traceparent: str | None = None) -> BatchTrace:
    """The trace of a batch: the caller's, or one of its own. A `traceparent` that is none counts as missing."""
    caller = _TRACEPARENT.fullmatch(traceparent.strip()) if traceparent is not None else None
    trace_id, parent_id = (caller[1], caller[2]) if caller is not None else (_own_trace_id(uid), None)
    return BatchTrace(trace_id=trace_id, span_id=span_id(uid, "batch"), parent_id=parent_id)


def span_id(*names: str) -> str:
    """An id that follows from names, for spans that one process ends and another one refers to: 16 hex digits."""
    digest = hashlib.sha256("\0".join(names).encode()).hexdigest()[:16]
    return digest if digest.strip("0") else "1".zfill(16)


def traceparent(trace_id: str, parent_id: str) -> str:
    """The header that goes out with a request, flagged as sampled: what is kept is decided when the item has ended."""
    return f"00-{trace_id}-{parent_id}-01"


def is_trace_id(text: str | None) -> bool:
    """Whether it is one: 32 hex digits, not all of them 0."""
    return text is not None and _TRACE_ID.fullmatch(text) is not None


def _own_trace_id(uid: str) -> str:
    """A Kubernetes uid has as many digits as a trace id."""
    digits = uid.replace("-", "").lower()
    return digits if _TRACE_ID.fullmatch(digits) else hashlib.sha256(uid.encode()).hexdigest()[:32]
