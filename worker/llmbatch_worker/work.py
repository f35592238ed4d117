"""One item on its way from the input to its record, and the record itself. Pure."""

import datetime
from dataclasses import dataclass
from typing import Any

from llmbatch_contract.categories import Category
from llmbatch_contract.latency import count_latency
from llmbatch_contract.progress import Sample, Totals
from llmbatch_contract.records import DeadLetter, Item, Record, ResultRecord
from llmbatch_contract.usage import Usage
from llmbatch_worker.classify import Failure, Success
from llmbatch_worker.silence import Silence

_SAMPLE_CHARS = 200
_NO_USAGE = Usage()


@dataclass(slots=True)
class Attempt:
    """One request about an item."""

    number: int
    """From 1."""
    started: float
    """Unix time."""
    waited_s: float
    """At the gate, before it was sent."""
    span_id: str = ""
    """Where there are spans."""
    latency_s: float = 0.0
    status: int | None = None
    category: Category | None = None
    """Of its failure."""
    again_after_s: float | None = None


@dataclass(slots=True)
class Work:
    """An item that is being asked about."""

    shard: int
    number: int
    """In the whole input, from 0."""
    item_id: str
    item: Item
    size: int = 0
    """Bytes of the item, about."""
    attempts: int = 0
    blameless: int = 0
    """Attempts that failed only because the endpoint had no room, or was not to be reached."""
    excused: int = 0
    """Attempts that count for nothing: the endpoint was known to be down."""
    rejected: int = 0
    """Whole answers that were not accepted."""
    first_attempt_at: float | None = None
    """Unix time."""
    usage: Usage = _NO_USAGE
    """Of all attempts."""
    attempt: Attempt | None = None
    """The last one."""
    tried: list[Attempt] | None = None
    """Those before it, where somebody keeps them; of very many, some."""
    silence: Silence | None = None
    """Its failures in the last row of failures in which the endpoint answered nothing."""

    def idempotency_key(self, uid: str) -> str:
        """The same for every try at the same question; another once an answer was rejected and a new one is wanted.

        https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
        """
        return f"{uid}-{self.number}-{self.rejected}" if self.rejected else f"{uid}-{self.number}"


@dataclass(frozen=True, slots=True)
class RecordForm:
    """What records hold beyond the necessary."""

    include_input: bool
    include_response: bool
    trace_id: str


def result_record(
    work: Work, success: Success, *, completed_at: float, latency_s: float, form: RecordForm, request_id: str | None
) -> ResultRecord:
    """The record of an answered item; `completed_at` is Unix time."""
    record: ResultRecord = {
        "id": work.item_id,
        "index": work.number,
        "output": success.output,
        "finish_reason": success.answer.finish_reason,
        "model": success.answer.model,
        "usage": work.usage.record(),
        "attempts": work.attempts,
        "latency_ms": round(latency_s * 1000, 1),
        "completed_at": utc(completed_at),
        "trace_id": form.trace_id,
    }
    if form.include_input:
        record["input"] = work.item
    if form.include_response:
        record["response"] = response_part(200, request_id, success.body)
    return record


def dead_letter(
    work: Work, failure: Failure, *, failed_at: float, latency_s: float | None, form: RecordForm, request_id: str | None
) -> DeadLetter:
    """The record of a failed item; `failed_at` is Unix time."""
    record: DeadLetter = {
        "id": work.item_id,
        "index": work.number,
        "item": work.item,
        "error": {
            "category": failure.category.value,
            "message": failure.message,
            "status": failure.status,
            "code": failure.code,
        },
        "attempts": work.attempts,
        "first_attempt_at": None if work.first_attempt_at is None else utc(work.first_attempt_at),
        "failed_at": utc(failed_at),
        "trace_id": form.trace_id,
    }
    if work.usage.total:
        record["usage"] = work.usage.record()
    if latency_s is not None:
        record["latency_ms"] = round(latency_s * 1000, 1)
    if form.include_response and failure.body is not None and failure.status is not None:
        record["response"] = response_part(failure.status, request_id, failure.body)
    return record


def response_part(status: int, request_id: str | None, body: dict[str, Any]) -> dict[str, Any]:
    """The answer as the OpenAI Batch API's files hold it."""
    return {"status_code": status, "request_id": request_id or "", "body": body}


def utc(unix_s: float) -> str:
    """Unix time as ISO 8601 in UTC, with milliseconds."""
    return (
        datetime.datetime.fromtimestamp(unix_s, datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def count_record(totals: Totals, record: Record) -> None:
    """Add one record to the totals."""
    totals.attempts += record["attempts"]
    totals.retries += max(0, record["attempts"] - 1)
    if "usage" in record:
        totals.usage += Usage.from_record(record["usage"])
    if "latency_ms" in record:
        count_latency(totals.latency, record["latency_ms"])
    if "error" not in record:
        totals.succeeded += 1
        return
    totals.failed += 1
    error = record["error"]
    category = Category(error["category"])
    totals.errors[category] = totals.errors.get(category, 0) + 1
    if category not in totals.samples:
        totals.samples[category] = Sample(item_id=record["id"], message=error["message"][:_SAMPLE_CHARS])
