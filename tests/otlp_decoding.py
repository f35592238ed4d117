"""What came by OTLP as plain values, for `otlp_receiver`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2


@dataclass(frozen=True)
class ReceivedEvent:
    """An event of a span."""

    name: str
    at: float
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as it came. Ids are hexadecimal, times in seconds."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    kind: str
    """`client` or `internal`."""
    start: float
    end: float
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    error: str | None
    """The text of the status where it is an error."""
    events: tuple[ReceivedEvent, ...]
    links: tuple[tuple[str, str], ...]
    """Trace and span ids."""
    scope: tuple[str, str]
    """Name and version."""


@dataclass(frozen=True)
class ReceivedPoint:
    """A data point as it came."""

    name: str
    unit: str
    kind: str
    """`sum`, `gauge` or `histogram`."""
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    start: float
    time: float
    is_delta: bool
    is_monotonic: bool = False
    value: float = 0
    """Of a number; an int if it came as one."""
    count: int = 0
    sum: float = 0.0
    bounds: tuple[float, ...] = ()
    counts: tuple[int, ...] = field(default=())

    @property
    def is_histogram(self) -> bool:
        """Whether count, sum, bounds and counts tell its value."""
        return self.kind == "histogram"

    @property
    def series(self) -> tuple[object, ...]:
        """What tells it from others."""
        resource = tuple(sorted((key, str(value)) for key, value in self.resource.items()))
        return self.name, tuple(sorted(self.attributes.items())), resource

    def has(self, attributes: Mapping[str, Any]) -> bool:
        """Whether these are among its attributes."""
        return attributes.items() <= self.attributes.items()


def spans_of(message: Any) -> Iterator[ReceivedSpan]:
    """The spans of an ExportTraceServiceRequest."""
    for resource_spans in message.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            scope = (scope_spans.scope.name, scope_spans.scope.version)
            for span in scope_spans.spans:
                yield _span(span, resource, scope)


def points_of(message: Any) -> Iterator[ReceivedPoint]:
    """The data points of an ExportMetricsServiceRequest."""
    for resource_metrics in message.resource_metrics:
        resource = _attributes(resource_metrics.resource.attributes)
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                kind = metric.WhichOneof("data")
                data = getattr(metric, kind)
                for point in data.data_points:
                    yield _point(metric, kind, data, point, resource)


def _span(span: Any, resource: Mapping[str, Any], scope: tuple[str, str]) -> ReceivedSpan:
    is_error = span.status.code == trace_pb2.Status.STATUS_CODE_ERROR
    return ReceivedSpan(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        start=_seconds(span.start_time_unix_nano),
        end=_seconds(span.end_time_unix_nano),
        attributes=_attributes(span.attributes),
        resource=resource,
        error=span.status.message if is_error else None,
        events=tuple(
            ReceivedEvent(event.name, _seconds(event.time_unix_nano), _attributes(event.attributes))
            for event in span.events
        ),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        scope=scope,
    )


def _point(metric: Any, kind: str, data: Any, point: Any, resource: Mapping[str, Any]) -> ReceivedPoint:
    delta = metrics_pb2.AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    common: dict[str, Any] = {
        "name": metric.name,
        "unit": metric.unit,
        "kind": kind,
        "attributes": _attributes(point.attributes),
        "resource": resource,
        "start": _seconds(point.start_time_unix_nano),
        "time": _seconds(point.time_unix_nano),
        "is_delta": kind != "gauge" and data.aggregation_temporality == delta,
        "is_monotonic": kind == "sum" and data.is_monotonic,
    }
    if kind == "histogram":
        bounds, counts = tuple(point.explicit_bounds), tuple(point.bucket_counts)
        return ReceivedPoint(**common, count=point.count, sum=point.sum, bounds=bounds, counts=counts)
    return ReceivedPoint(**common, value=getattr(point, point.WhichOneof("value")))


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_value(each) for each in value.array_value.values)
    return None if kind is None else getattr(value, kind)


def _seconds(nanoseconds: int) -> float:
    """To the microsecond: a float has no more digits."""
    return nanoseconds // 1000 / 1e6
