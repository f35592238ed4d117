"""What a collector has not taken of a request that it took: the partial success of OTLP. Exporters note it by thread.

https://opentelemetry.io/docs/specs/otlp/#partial-success: it is not sent again.
"""

import threading
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse


@dataclass(frozen=True)
class Rejection:
    """Of one request."""

    count: int
    """Spans or points; 0 where all were taken, with something to say of them."""
    message: str


class Rejections:
    """The last answer of each thread."""

    def __init__(self) -> None:
        self._said: dict[int, Rejection] = {}

    def read(self, answer: bytes) -> None:
        """What a collector has answered; what is no such answer says nothing. Those of all signals are alike."""
        try:
            part = ExportTraceServiceResponse.FromString(answer).partial_success
        except DecodeError:
            return
        if part.rejected_spans > 0 or part.error_message:
            self._said[threading.get_ident()] = Rejection(max(part.rejected_spans, 0), part.error_message)

    def taken(self) -> Rejection | None:
        """What was said in this thread since the last time."""
        return self._said.pop(threading.get_ident(), None)


REJECTIONS = Rejections()


class ReadAnswers:
    """Before one of OpenTelemetry's exporters by gRPC, as a base: its answers are read, too."""

    _client: Any

    def _initialize_channel_and_stub(self) -> None:
        """What it does for each connection."""
        super()._initialize_channel_and_stub()  # type: ignore[misc]
        self._client = _Client(self._client)


class _Client:
    def __init__(self, client: Any) -> None:
        self._client = client

    def Export(self, **arguments: Any) -> Any:
        answer = self._client.Export(**arguments)
        REJECTIONS.read(answer.SerializeToString())
        return answer
