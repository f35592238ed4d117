"""Sends requests with spans by HTTP. OpenTelemetry's exporter would make them itself, from spans of the SDK.

What a collector may answer, and when to try again: https://opentelemetry.io/docs/specs/otlp/#otlphttp.
"""

import gzip
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import requests
import urllib3
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from llmbatch_telemetry.exporting.health import COMPLAINTS

_MOST_TRIES = 6
_PASSING = (429, 502, 503, 504)
_LEAST_S = 0.001


@dataclass(frozen=True)
class _Refusal:
    reason: str
    is_passing: bool = False
    """Another try makes sense."""
    after_s: float | None = None
    """Seconds until then, where they are known."""


class HttpSpanExporter:
    """One collector. `export` is called by one thread, `shutdown` by another."""

    def __init__(
        self, endpoint: str, headers: Mapping[str, str], session: requests.Session, *, timeout_s: float, is_gzip: bool
    ) -> None:
        self._endpoint, self._session, self._timeout_s, self._is_gzip = endpoint, session, timeout_s, is_gzip
        own = {"content-type": "application/x-protobuf", **({"content-encoding": "gzip"} if is_gzip else {})}
        self._headers = {**own, **{name.lower(): value for name, value in headers.items()}}
        self._closing = threading.Event()

    def export(self, request: ExportTraceServiceRequest) -> bool:
        """Whether it was taken, with tries within the timeout; why not, `COMPLAINTS` knows."""
        body = request.SerializeToString()
        if self._is_gzip:
            body = gzip.compress(body)
        until = time.monotonic() + self._timeout_s
        for number in range(_MOST_TRIES):
            refusal = self._post(body, until)
            if refusal is None:
                return True
            COMPLAINTS.say(refusal.reason)
            # Where many pods wait for one collector, they do not come back together.
            wait_s = 2**number * random.uniform(0.8, 1.2) if refusal.after_s is None else refusal.after_s
            if not refusal.is_passing or wait_s > until - time.monotonic() or self._closing.wait(wait_s):
                return False
        return False

    def shutdown(self) -> None:
        """Try no more."""
        self._closing.set()
        self._session.close()

    def _post(self, body: bytes, until: float) -> _Refusal | None:
        try:
            response = self._answer(body, until)
        except (OSError, urllib3.exceptions.HTTPError) as error:
            return _Refusal(str(error), isinstance(error, requests.ConnectionError))
        if response.status_code < 300:
            return None
        reason = f"{response.status_code} {response.reason}"
        return _Refusal(reason, response.status_code in _PASSING, _seconds(response.headers.get("retry-after", "")))

    def _answer(self, body: bytes, until: float) -> requests.Response:
        try:
            return self._send(body, until)
        except requests.ConnectionError:  # also of a connection that the collector no longer keeps
            return self._send(body, until)

    def _send(self, body: bytes, until: float) -> requests.Response:
        timeout_s = max(until - time.monotonic(), _LEAST_S)
        return self._session.post(
            self._endpoint, data=body, headers=self._headers, timeout=timeout_s, allow_redirects=False
        )


def _seconds(retry_after: str) -> float | None:
    """Dates are not understood: collectors send numbers."""
    return float(retry_after) if retry_after.isdecimal() else None
