"""Our spans as OpenTelemetry's, for its exporters."""

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from llmbatch_telemetry.spans import Span

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NO_ERROR = Status(StatusCode.UNSET)


def otel_span(span: Span, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    """A span that has ended. Raises ValueError for ids that are none."""
    return ReadableSpan(
        name=clean(span.name),
        context=_context(span.trace_id, span.span_id),
        parent=None if span.parent_id is None else _context(span.trace_id, span.parent_id),
        resource=resource,
        attributes=dict(span.attributes),
        events=[Event(clean(event.name), dict(event.attributes), _nanoseconds(event.at)) for event in span.events],
        links=[Link(_context(link.trace_id, link.span_id)) for link in span.links],
        kind=SpanKind.CLIENT if span.is_client else SpanKind.INTERNAL,
        status=_NO_ERROR if span.error is None else Status(StatusCode.ERROR, clean(span.error)),
        start_time=_nanoseconds(span.start),
        end_time=_nanoseconds(span.end),
        instrumentation_scope=scope,
    )


def clean(text: str) -> str:
    """Text that can be sent: half of a surrogate pair would cost all spans of the same request."""
    return text.encode("utf-8", "replace").decode()


def _context(trace_id: str, span_id: str) -> SpanContext:
    context = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=_SAMPLED)
    if not context.is_valid:
        raise ValueError(f"{trace_id}-{span_id} is no id of a span")
    return context


def _nanoseconds(at: float) -> int:
    return max(round(at * 1e6) * 1000, 0)
