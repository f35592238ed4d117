"""Our spans as the messages of OTLP, made at once: by way of the SDK's spans it takes three times as long.

https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from llmbatch_telemetry.spans import Link, Span, SpanEvent, Value

_REPEATED_CHARACTERS = 64
"""Of a text that may well come again: a name, rather than a prompt."""

_NO_ERROR = Status()
_FLAGS = trace_pb2.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
"""It is known whether the parent is in another process; what is ours is said to be in the same, as the SDK would."""


class SpanEncoder:
    """For the spans of one process."""

    def __init__(self, resource: Resource, scope: InstrumentationScope) -> None:
        described = {key: str(value) for key, value in resource.attributes.items()}
        self._resource = resource_pb2.Resource(attributes=_attributes(described))
        self._scope = common_pb2.InstrumentationScope(name=scope.name, version=scope.version or "")

    def request(self, spans: Iterable[Span]) -> ExportTraceServiceRequest:
        """A request with those of the spans that can be sent."""
        request = ExportTraceServiceRequest()
        place = request.resource_spans.add(resource=self._resource).scope_spans.add(scope=self._scope)
        place.spans.extend(made for span in spans if (made := _made(span)) is not None)
        return request


def count_of(request: ExportTraceServiceRequest) -> int:
    """How many spans a request has."""
    return len(request.resource_spans[0].scope_spans[0].spans)


def encoded(span: Span) -> trace_pb2.Span:
    """A span that has ended. Raises ValueError for ids that are none."""
    return trace_pb2.Span(
        name=clean(span.name),
        trace_id=_id(span.trace_id, 16),
        span_id=_id(span.span_id, 8),
        parent_span_id=b"" if span.parent_id is None else _id(span.parent_id, 8),
        kind=trace_pb2.Span.SPAN_KIND_CLIENT if span.is_client else trace_pb2.Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=_nanoseconds(span.start),
        end_time_unix_nano=_nanoseconds(span.end),
        attributes=_attributes(span.attributes),
        events=[_event(event) for event in span.events],
        links=[_link(link) for link in span.links],
        status=_NO_ERROR if span.error is None else Status(code=Status.STATUS_CODE_ERROR, message=clean(span.error)),
        flags=_FLAGS,
    )


def clean(text: str) -> str:
    """Text that can be sent: half of a surrogate pair would cost all spans of the same request."""
    return text.encode("utf-8", "replace").decode()


def _made(span: Span) -> trace_pb2.Span | None:
    """None for one that cannot be sent, which must not cost the others."""
    try:
        return encoded(span)
    except Exception:  # noqa: BLE001
        return None


def _event(event: SpanEvent) -> trace_pb2.Span.Event:
    return trace_pb2.Span.Event(
        name=clean(event.name), time_unix_nano=_nanoseconds(event.at), attributes=_attributes(event.attributes)
    )


def _link(link: Link) -> trace_pb2.Span.Link:
    return trace_pb2.Span.Link(trace_id=_id(link.trace_id, 16), span_id=_id(link.span_id, 8), flags=_FLAGS)


def _attributes(attributes: Mapping[str, Value]) -> list[KeyValue]:
    """Those that can be sent."""
    return [made for key, value in attributes.items() if (made := _attribute(key, value)) is not None]


def _attribute(key: str, value: Value) -> KeyValue | None:
    """None for half of a surrogate pair, and for a number that is too large."""
    try:
        if isinstance(value, float) or (isinstance(value, str) and len(value) > _REPEATED_CHARACTERS):
            return KeyValue(key=key, value=_value(value))
        return _repeated(key, value)
    except (ValueError, TypeError):
        return None


@lru_cache(maxsize=1024, typed=True)
def _repeated(key: str, value: Value) -> KeyValue:
    return KeyValue(key=key, value=_value(value))


def _value(value: Value) -> AnyValue:
    match value:
        case str():
            return AnyValue(string_value=value)
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case _:
            return AnyValue(array_value=ArrayValue(values=[_value(each) for each in value]))


def _id(digits: str, size: int) -> bytes:
    made = bytes.fromhex(digits)
    if len(made) != size or not any(made):
        raise ValueError(f"{digits} is no id of a trace or a span")
    return made


def _nanoseconds(at: float) -> int:
    return max(round(at * 1e6) * 1000, 0)
