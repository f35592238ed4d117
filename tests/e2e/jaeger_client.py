"""What tests ask of Jaeger: the spans of one trace, as values.

Made by the fixture `jaeger`. It reads the JSON that Jaeger's own page reads; how OpenTelemetry's fields look in it is
written down at https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/jaeger/.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx

from cluster.cluster_jaeger import OTLP_GRPC_PORT, QUERY_PORT

_TIMEOUT_S = 30
_MICROS = 1e6


@dataclass(frozen=True)
class TraceSpan:
    """One span."""

    name: str
    span_id: str
    parent_id: str | None
    start: float
    end: float
    tags: Mapping[str, Any]
    process: Mapping[str, Any]
    """Attributes of the resource; `service.name` too."""
    links: tuple[tuple[str, str], ...]
    """Trace and span."""

    def __getitem__(self, name: str) -> Any:
        """An attribute of the span, else of its resource; None where neither has it."""
        return self.tags.get(name, self.process.get(name))

    @property
    def error(self) -> str | None:
        """What went wrong; None: nothing did."""
        return str(self.tags.get("otel.status_description", "")) if self.tags.get("error") is True else None


@dataclass(frozen=True)
class Trace:
    """All spans of a trace."""

    trace_id: str
    spans: tuple[TraceSpan, ...]
    """Each once."""
    repeated: tuple[TraceSpan, ...]
    """Those that came again: an operator that was restarted cannot know what the one before has told."""
    text: str
    """As Jaeger tells it."""

    def named(self, *names: str) -> list[TraceSpan]:
        """Spans of these names."""
        return [span for span in self.spans if span.name in names]

    @cached_property
    def by_id(self) -> Mapping[str, TraceSpan]:
        """The spans by their ids."""
        return {span.span_id: span for span in self.spans}

    @cached_property
    def children(self) -> Mapping[str | None, Sequence[TraceSpan]]:
        """The spans by their parents."""
        found: dict[str | None, list[TraceSpan]] = {}
        for span in self.spans:
            found.setdefault(span.parent_id, []).append(span)
        return found


@dataclass(frozen=True)
class Jaeger:
    """A Jaeger that pods reach, too."""

    host: str

    @property
    def otlp_grpc(self) -> str:
        """Where it takes spans by gRPC."""
        return f"http://{self.host}:{OTLP_GRPC_PORT}"

    def trace(self, trace_id: str) -> Trace:
        """What there is of a trace so far."""
        answer = httpx.get(f"http://{self.host}:{QUERY_PORT}/api/traces/{trace_id}", timeout=_TIMEOUT_S)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return Trace(trace_id, (), (), "")
        found = answer.raise_for_status().json()["data"]
        spans = [_span(span, each) for each in found for span in each["spans"]]
        once = {span.span_id: span for span in reversed(spans)}
        return Trace(trace_id, (*once.values(),), tuple(s for s in spans if once[s.span_id] is not s), answer.text)


def _span(span: Mapping[str, Any], trace: Mapping[str, Any]) -> TraceSpan:
    process = trace["processes"][span["processID"]]
    start = span["startTime"] / _MICROS
    references = [(each["refType"], each["traceID"], each["spanID"]) for each in span["references"]]
    return TraceSpan(
        name=span["operationName"],
        span_id=span["spanID"],
        parent_id=next((parent for kind, _, parent in references if kind == "CHILD_OF"), None),
        start=start,
        end=start + span["duration"] / _MICROS,
        tags=_values(span["tags"]),
        process=_values(process.get("tags", [])) | {"service.name": process["serviceName"]},
        links=tuple((other, each) for kind, other, each in references if kind != "CHILD_OF"),
    )


def _values(tags: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Jaeger's key-value pairs; lists come as JSON."""
    return {tag["key"]: _parsed(tag["value"]) for tag in tags}


def _parsed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value.startswith('["') else value
