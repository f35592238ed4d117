"""A real receiver of OTLP for tests, by http/protobuf and gRPC: keeps what comes, or behaves badly when told to.

    with OtlpReceiver() as receiver:
        start_telemetry("llmbatch-worker", {}, environment=receiver.environment()) …
        receiver.wait_until("a span has come", lambda: receiver.spans)

Runs in threads of the test's process; subprocesses, and with `bind="0.0.0.0"` pods, can reach it.
"""

import gzip
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from otlp_decoding import ReceivedPoint, ReceivedSpan, points_of, spans_of

_LONGEST_S = 60.0


class Behaviour(StrEnum):
    """How requests are treated."""

    TAKE = "take"
    HANG = "hang"
    """Accept and never answer; when released, hang up."""
    ERROR = "error"
    """Answer with `status`, or by gRPC with INTERNAL (UNAVAILABLE for 503)."""
    GARBAGE = "garbage"
    """Answer with something that is no HTTP; by gRPC as ERROR."""
    ENDLESS = "endless"
    """Answer with a body that does not end, as fast as it is read; by gRPC as HANG."""
    TRICKLE = "trickle"
    """Answer with a body that does not end, a byte now and then; by gRPC as HANG."""


@dataclass
class Request:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    """With keys in lower case; by gRPC the metadata."""
    size: int


@dataclass
class OtlpReceiver:
    """Both servers, on ports of their own. A context manager."""

    bind: str = "127.0.0.1"
    host: str | None = None
    """The name to be reached by, if it is not the address."""
    tls: tuple[Path, Path] | None = None
    """Files of certificate and key, for both servers."""
    http_port: int = 0
    grpc_port: int = 0
    behaviour: Behaviour = Behaviour.TAKE
    status: int = 500
    delay_s: float = 0.0
    """Before every answer."""
    spans: list[ReceivedSpan] = field(default_factory=list)
    points: list[ReceivedPoint] = field(default_factory=list)
    """In the order in which they came, of all exports."""
    requests: list[Request] = field(default_factory=list)
    """All that came, also those that were treated badly."""
    connections: int = 0
    """By HTTP, so far."""
    answer: bytes = b""
    """Body of answers by HTTP; by gRPC the message."""

    def __post_init__(self) -> None:
        self._released = threading.Event()
        self._change = threading.Condition()

    def __enter__(self) -> "OtlpReceiver":
        self._http = _HttpServer((self.bind, self.http_port), self)
        if self.tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self.http_port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        self._grpc = grpc.server(ThreadPoolExecutor(8), options=(("grpc.so_reuseport", 0),))
        add_traces: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
        add_traces(_Traces(self), self._grpc)
        add_metrics: Any = metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server
        add_metrics(_Metrics(self), self._grpc)
        self.grpc_port = self._add_port()
        self._grpc.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._http.shutdown()
        self._http.server_close()
        self._grpc.stop(0.2).wait(5)

    @property
    def endpoint(self) -> str:
        """For http/protobuf."""
        return f"{self._scheme}://{self.host or self.bind}:{self.http_port}"

    @property
    def grpc_endpoint(self) -> str:
        """For gRPC."""
        return f"{self._scheme}://{self.host or self.bind}:{self.grpc_port}"

    def environment(self, protocol: str = "http/protobuf", **more: str) -> dict[str, str]:
        """The OTEL_* variables that lead here, and more of them."""
        endpoint = self.grpc_endpoint if protocol == "grpc" else self.endpoint
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol, **more}

    def wait_until(self, description: str, predicate: Callable[[], object], timeout_s: float = 20) -> None:
        """Wait for something that what has come makes true."""
        with self._change:
            if not self._change.wait_for(predicate, timeout_s):
                names = sorted({span.name for span in self.spans} | {point.name for point in self.points})
                raise AssertionError(f"after {timeout_s} s not yet: {description}; came so far: {names}")

    def spans_named(self, name: str) -> list[ReceivedSpan]:
        """All spans of a name."""
        return [span for span in list(self.spans) if span.name == name]

    def last(self, name: str, **attributes: str) -> ReceivedPoint | None:
        """The last point of a metric that has these attributes (`_` stands for a dot) among its own."""
        wanted = {key.replace("_", "."): value for key, value in attributes.items()}
        found = [point for point in list(self.points) if point.name == name and point.has(wanted)]
        return found[-1] if found else None

    def total(self, name: str, attributes: Mapping[str, str] | None = None) -> float:
        """A counter's total over all series with these attributes: last totals, or the sum of all deltas."""
        last: dict[object, float] = {}
        for point in [point for point in list(self.points) if point.name == name and point.has(attributes or {})]:
            before = last.get(point.series, 0.0) if point.is_delta else 0.0
            last[point.series] = before + (point.count if point.is_histogram else point.value)
        return sum(last.values())

    def release(self) -> None:
        """Let go of requests that hang."""
        with self._change:
            self._released.set()
            self._released = threading.Event()

    def took(
        self, path: str, headers: dict[str, str], message: Any, size: int
    ) -> tuple[Behaviour, Callable[[float], bool]]:
        """For the servers: keep a request, and what it holds, if it is to be taken.

        How to answer it, and how to hang, for so many seconds at most, until requests are let go that have come by now.
        """
        with self._change:
            behaviour, released = self.behaviour, self._released
            self.requests.append(Request(path, headers, size))
            if behaviour is Behaviour.TAKE:
                self.spans.extend(spans_of(message) if path.endswith("traces") else ())
                self.points.extend(points_of(message) if path.endswith("metrics") else ())
            self._change.notify_all()
        return behaviour, released.wait

    @property
    def _scheme(self) -> str:
        return "http" if self.tls is None else "https"

    def _add_port(self) -> int:
        address = f"{self.bind}:{self.grpc_port}"
        if self.tls is None:
            return int(self._grpc.add_insecure_port(address))
        certificate, key = (path.read_bytes() for path in self.tls)
        credentials = grpc.ssl_server_credentials([(key, certificate)])
        return int(self._grpc.add_secure_port(address, credentials))


@contextmanager
def otlp_receiver(**options: Any) -> Iterator[OtlpReceiver]:
    """The same, for fixtures."""
    with OtlpReceiver(**options) as receiver:
        yield receiver


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], receiver: OtlpReceiver) -> None:
        super().__init__(address, _Handler)
        self.receiver = receiver

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is none."""


class _Handler(BaseHTTPRequestHandler):
    server: _HttpServer
    protocol_version = "HTTP/1.1"
    _MESSAGES: Mapping[str, Any] = {
        "/v1/traces": trace_service_pb2.ExportTraceServiceRequest,
        "/v1/metrics": metrics_service_pb2.ExportMetricsServiceRequest,
    }

    def setup(self) -> None:
        """Count a connection."""
        self.server.receiver.connections += 1
        super().setup()

    def do_POST(self) -> None:
        """Take one request."""
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        size = len(body)
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        kind = self._MESSAGES.get(self.path)
        if kind is None or self.headers.get("content-type") != "application/x-protobuf":
            self._answer(404)
            return
        headers = {key.lower(): value for key, value in self.headers.items()}
        behaviour, hang = receiver.took(self.path, headers, kind.FromString(body), size)
        time.sleep(receiver.delay_s)
        match behaviour:
            case Behaviour.TAKE:
                self._answer(200)
            case Behaviour.ERROR:
                self._answer(receiver.status)
            case Behaviour.HANG:
                hang(_LONGEST_S)
                self.close_connection = True
            case Behaviour.GARBAGE:
                self.wfile.write(b"\x00\xff not a status line at all\r\n\r\n")
                self.close_connection = True
            case Behaviour.ENDLESS | Behaviour.TRICKLE:
                self._answer_endlessly(b"x" * 65536 if behaviour is Behaviour.ENDLESS else b"x", hang)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(self.server.receiver.answer)))
        self.end_headers()
        self.wfile.write(self.server.receiver.answer)

    def _answer_endlessly(self, chunk: bytes, hang: Callable[[float], bool]) -> None:
        self.send_response(200)
        self.end_headers()
        pause_s = 0.0 if len(chunk) > 1 else 0.1
        while not hang(pause_s):
            self.wfile.write(chunk)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


class _Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, receiver: OtlpReceiver) -> None:
        self._receiver = receiver

    def Export(self, request: Any, context: Any) -> Any:
        """Take one request."""
        _take_grpc(self._receiver, "/v1/traces", request, context)
        return trace_service_pb2.ExportTraceServiceResponse.FromString(self._receiver.answer)


class _Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def __init__(self, receiver: OtlpReceiver) -> None:
        self._receiver = receiver

    def Export(self, request: Any, context: Any) -> Any:
        """Take one request."""
        _take_grpc(self._receiver, "/v1/metrics", request, context)
        return metrics_service_pb2.ExportMetricsServiceResponse.FromString(self._receiver.answer)


def _take_grpc(receiver: OtlpReceiver, path: str, request: Any, context: Any) -> None:
    headers = {str(key): str(value) for key, value in context.invocation_metadata()}
    behaviour, hang = receiver.took(path, headers, request, request.ByteSize())
    time.sleep(receiver.delay_s)
    match behaviour:
        case Behaviour.TAKE:
            return
        case Behaviour.ERROR | Behaviour.GARBAGE:
            is_away = receiver.status == 503
            context.abort(grpc.StatusCode.UNAVAILABLE if is_away else grpc.StatusCode.INTERNAL, "told to fail")
        case _:
            hang(_LONGEST_S)
