"""Spans as OTLP's messages: to the byte what OpenTelemetry's SDK and exporters make of the same span."""

import logging
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link as OtelLink
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from llmbatch_telemetry.exporting import otlp_spans
from llmbatch_telemetry.exporting.otlp_spans import SpanEncoder, clean, encoded
from llmbatch_telemetry.spans import Link, Span, SpanEvent, Value
from telemetry.telemetry_builders import span

RESOURCE = Resource({"service.name": "llmbatch-worker", "k8s.pod.name": "pod-1"})
SCOPE = InstrumentationScope("llmbatch", "1.2.3")

_texts = st.text(st.characters(codec=None), max_size=80)
"""With halves of surrogate pairs."""
_values: st.SearchStrategy[Value] = st.one_of(
    _texts, st.booleans(), st.integers(-(2**64), 2**64), st.floats(), st.lists(_texts, max_size=3).map(tuple)
)
_attributes = st.dictionaries(_texts, _values, max_size=5)
_times = st.floats(0, 4e9)


def _ids(digits: int) -> st.SearchStrategy[str]:
    return st.integers(1, 16**digits - 1).map(lambda number: f"{number:0{digits}x}")


_spans = st.builds(
    Span,
    name=_texts,
    trace_id=_ids(32),
    span_id=_ids(16),
    parent_id=st.none() | _ids(16),
    start=_times,
    end=_times,
    attributes=_attributes,
    is_client=st.booleans(),
    error=st.none() | _texts,
    events=st.lists(st.builds(SpanEvent, _texts, _times, _attributes), max_size=2).map(tuple),
    links=st.lists(st.builds(Link, _ids(32), _ids(16)), max_size=2).map(tuple),
)


@given(spans=st.lists(_spans, min_size=1, max_size=3))
@example(
    spans=[span(name="half \ud83d", error="half \ud83d", attributes={"half": "\ud83d", "\ud83d": 1, "whole": 2**64})]
)
def test_spans_are_encoded_as_opentelemetry_does_it(spans: list[Span]) -> None:
    theirs = encode_spans([_of_the_sdk(span) for span in spans])
    ours = SpanEncoder(RESOURCE, SCOPE).request(spans)
    assert _bytes(ours) == _bytes(theirs)


def test_equal_values_of_different_types_stay_what_they_are() -> None:
    told: dict[str, Value] = {"true": True, "one": 1, "part": 1.0}
    for attributes in (told, {"true": 1, "one": 1.0, "part": True}, told):
        found = {each.key: each.value for each in encoded(span(attributes=attributes)).attributes}
        kinds = {key: value.WhichOneof("value") for key, value in found.items()}
        wanted = {bool: "bool_value", int: "int_value", float: "double_value"}
        assert kinds == {key: wanted[type(value)] for key, value in attributes.items()}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"trace_id": "0" * 32}, id="zeros as the trace"),
        pytest.param({"span_id": "0" * 16}, id="zeros as the span"),
        pytest.param({"parent_id": ""}, id="nothing as the parent"),
        pytest.param({"span_id": "abc"}, id="too few digits"),
        pytest.param({"trace_id": "g" * 32}, id="no digits"),
    ],
)
def test_an_id_that_is_none_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        encoded(span(**changes))
    request = SpanEncoder(RESOURCE, SCOPE).request([span(1), span(2, **changes), span(3)])
    assert len(request.resource_spans[0].scope_spans[0].spans) == 2


def test_a_long_text_is_not_kept() -> None:
    before = otlp_spans._repeated.cache_info().currsize
    encoded(span(attributes={"gen_ai.input.messages": "x" * 8192}))
    assert otlp_spans._repeated.cache_info().currsize == before


def _of_the_sdk(span: Span) -> sdk.ReadableSpan:
    return sdk.ReadableSpan(
        name=clean(span.name),
        context=_context(span.trace_id, span.span_id),
        parent=None if span.parent_id is None else _context(span.trace_id, span.parent_id),
        resource=RESOURCE,
        attributes=dict(span.attributes),
        events=[sdk.Event(clean(event.name), dict(event.attributes), _nanoseconds(event.at)) for event in span.events],
        links=[OtelLink(_context(link.trace_id, link.span_id)) for link in span.links],
        kind=SpanKind.CLIENT if span.is_client else SpanKind.INTERNAL,
        status=Status(StatusCode.UNSET) if span.error is None else Status(StatusCode.ERROR, clean(span.error)),
        start_time=_nanoseconds(span.start),
        end_time=_nanoseconds(span.end),
        instrumentation_scope=SCOPE,
    )


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _nanoseconds(at: float) -> int:
    return round(at * 1e6) * 1000


def _bytes(request: ExportTraceServiceRequest) -> bytes:
    made: bytes = request.SerializePartialToString(deterministic=True)
    return made


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every attribute that it leaves out, the exporter logs the stack."""
    monkeypatch.setattr(logging.getLogger("opentelemetry.exporter.otlp.proto.common"), "disabled", True)
