"""An item that has ended, and its attempts, as spans by the GenAI and HTTP conventions. Pure.

https://github.com/open-telemetry/semantic-conventions-genai and https://opentelemetry.io/docs/specs/semconv/http/.
No words of prompts, answers and errors: those of an endpoint's error may quote the item.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from llmbatch_contract.categories import Category
from llmbatch_telemetry import names
from llmbatch_telemetry.spans import Span, Value
from llmbatch_worker.classify import Failure, Success
from llmbatch_worker.observing.calls import Call
from llmbatch_worker.observing.sampling import KeptFor
from llmbatch_worker.work import Attempt, Work

_MOST_CHARS = 200


@dataclass(frozen=True, slots=True)
class EndedItem:
    """What there is to say of an item at its end."""

    work: Work
    ended: float
    """Unix time."""
    verdict: Success | Failure | None = None
    """On its last attempt; None: nothing was asked."""
    category: Category | None = None
    """Of its failure."""
    content: dict[str, Value] = field(default_factory=dict)
    """Messages, where they are wanted."""

    @property
    def started(self) -> float:
        """When it was first asked about, Unix time."""
        return self.work.first_attempt_at or self.ended


def spans_of(item: EndedItem, call: Call, trace_id: str, parent_id: str, own_id: str, why: KeptFor) -> Iterator[Span]:
    """The item's span and those of its attempts."""
    last = () if item.work.attempt is None else (item.work.attempt,)
    for attempt in (*(item.work.tried or ()), *last):
        yield _attempt_span(attempt, call, trace_id, own_id)
    yield Span(
        name=call.name,
        trace_id=trace_id,
        span_id=own_id,
        parent_id=parent_id,
        start=item.started,
        end=item.ended,
        attributes={**_item(item, why), **_call(call), **_answer(item), **item.content},
        is_client=True,
        error=None if item.category is None else _sentence(item.category, _status(item.verdict)),
    )


def _item(item: EndedItem, why: KeptFor) -> dict[str, Value]:
    work = item.work
    attributes: dict[str, Value] = {
        names.ITEM: work.item_id[:_MOST_CHARS],
        names.ITEM_INDEX: work.number,
        names.ITEM_KEPT_FOR: why.value,
        names.ATTEMPTS: work.attempts,
    }
    if item.category is not None:
        attributes[names.ERROR_TYPE] = item.category.value
    return attributes


def _call(call: Call) -> dict[str, Value]:
    attributes: dict[str, Value] = {
        names.GEN_AI_OPERATION: call.operation,
        names.GEN_AI_PROVIDER: call.server.provider,
        names.SERVER: call.server.host,
        names.SERVER_PORT: call.server.port,
    }
    if call.model:
        attributes[names.GEN_AI_REQUEST_MODEL] = call.model
    return attributes


def _answer(item: EndedItem) -> dict[str, Value]:
    """Which model answered with how many tokens. An endpoint may send anything where a name should be."""
    attributes: dict[str, Value] = {}
    usage = item.work.usage
    if usage.total:
        attributes |= {names.GEN_AI_INPUT_TOKENS: usage.input, names.GEN_AI_OUTPUT_TOKENS: usage.output}
        if usage.cached:
            attributes[names.GEN_AI_CACHED_TOKENS] = usage.cached
    verdict = item.verdict
    if verdict is None or verdict.answer is None:
        return attributes
    said = {names.GEN_AI_RESPONSE_MODEL: verdict.answer.model, names.GEN_AI_RESPONSE_ID: (verdict.body or {}).get("id")}
    attributes |= {name: value[:_MOST_CHARS] for name, value in said.items() if isinstance(value, str)}
    if isinstance(reason := verdict.answer.finish_reason, str):
        attributes[names.GEN_AI_FINISH_REASONS] = (reason[:_MOST_CHARS],)
    return attributes


def _attempt_span(attempt: Attempt, call: Call, trace_id: str, parent_id: str) -> Span:
    attributes: dict[str, Value] = {
        names.HTTP_METHOD: "POST",
        names.URL: call.url,
        names.SERVER: call.server.host,
        names.SERVER_PORT: call.server.port,
        names.ATTEMPT: attempt.number,
        names.WAITED: attempt.waited_s,
    }
    if attempt.status is not None:
        attributes[names.HTTP_STATUS] = attempt.status
    if attempt.number > 1:
        attributes[names.RESEND_COUNT] = attempt.number - 1
    if attempt.category is not None:
        attributes[names.ERROR_TYPE] = attempt.category.value
    if attempt.again_after_s is not None:
        attributes[names.RETRY_AFTER] = attempt.again_after_s
    return Span(
        name=names.SpanName.ATTEMPT,
        trace_id=trace_id,
        span_id=attempt.span_id,
        parent_id=parent_id,
        start=attempt.started,
        end=attempt.started + attempt.latency_s,
        attributes=attributes,
        is_client=True,
        error=None if attempt.category is None else _sentence(attempt.category, attempt.status),
    )


def _status(verdict: Success | Failure | None) -> int | None:
    return verdict.status if isinstance(verdict, Failure) else None


def _sentence(category: Category, status: int | None) -> str:
    return category.value if status is None else f"{category.value} (HTTP {status})"
