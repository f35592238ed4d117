"""The lines of results and errors, as parts, outputs and readers know them.

A part holds both kinds; a line with `error` is a dead letter. `docs/reference.md` documents the fields.
"""

from typing import Any, NotRequired, TypedDict, final

Item = dict[str, Any]
"""The fields of one input item."""


@final
class ResultRecord(TypedDict):
    """One answered item."""

    id: str
    index: int
    output: Any
    finish_reason: str | None
    model: str | None
    usage: dict[str, int]
    attempts: int
    latency_ms: float
    completed_at: str
    trace_id: str
    input: NotRequired[Item]
    response: NotRequired[dict[str, Any]]
    """Status, request id and body of the answer; only where the output format is openai."""


class ErrorDetail(TypedDict):
    """Why an item failed."""

    category: str
    message: str
    status: int | None
    """HTTP status, where there was an answer."""
    code: str | None
    """The endpoint's own error code."""


@final
class DeadLetter(TypedDict):
    """One failed item, with all that is needed to look into it or to ask again."""

    id: str
    index: int
    item: Item
    error: ErrorDetail
    attempts: int
    first_attempt_at: str | None
    failed_at: str
    trace_id: str
    usage: NotRequired[dict[str, int]]
    latency_ms: NotRequired[float]
    response: NotRequired[dict[str, Any]]


Record = ResultRecord | DeadLetter
