"""A proxy before an S3 server that does what stores do in bad times. The fixture `fault_proxy` makes it.

proxy = fault_proxy(moto_s3)                      # or versitygw
bucket = proxy.bucket                             # the same bucket by way of the proxy
proxy.add(slow_down(), method="PUT", key="*/part-*", times=3)
proxy.add(lost_answer(), method="PUT", key="*claim*")        # the PUT is done, its answer never comes
proxy.add(cut(1000), method="GET", after=2)                  # the third GET breaks after 1,000 bytes of its body
proxy.is_down = True                                         # every connection is reset, until it is False again
proxy.keys = {"NEWKEY"}                                      # other access keys have expired (moto checks none itself)
proxy.requests                                               # what was asked: Asked(method, key, query)

A rule meets requests by method, pattern of the key (fnmatch, without the bucket) and part of the query (`uploads`,
`partNumber=2`, `list-type`), lets the first `after` of them pass and spoils the next `times`. The first that meets
a request decides. `proxy.wait_for(method=…, key=…)` waits until such a request has come.
"""

import contextlib
import fnmatch
import http.client
import os
import re
import socket
import struct
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from s3_servers import Bucket

Fault = Callable[["Handler"], None]
"""Does something else than the server."""


def status(code: int, s3_code: str = "", message: str = "said by the proxy") -> Fault:
    """An error answer, as S3 writes it."""

    def answer(handler: "Handler") -> None:
        handler.answer_error(code, s3_code, message)

    return answer


def internal_error() -> Fault:
    """500."""
    return status(500, "InternalError", "We encountered an internal error. Please try again.")


def slow_down() -> Fault:
    """503, as S3 says it when it is asked too much."""
    return status(503, "SlowDown", "Please reduce your request rate.")


def expired_token() -> Fault:
    """400, as S3 says it."""
    return status(400, "ExpiredToken", "The provided token has expired.")


def access_denied() -> Fault:
    """403."""
    return status(403, "AccessDenied", "Access Denied")


def removal_denied() -> Fault:
    """200 for a request to remove several objects, of which the answer says that none was: POST, query `delete`."""

    def answer(handler: "Handler") -> None:
        keys = re.findall(r"<Key>(.*?)</Key>", handler.body.decode())
        error = "<Code>AccessDenied</Code><Message>Access Denied.</Message>"
        rows = "".join(f"<Error><Key>{key}</Key>{error}</Error>" for key in keys)
        text = f"<?xml version='1.0'?><DeleteResult>{rows}</DeleteResult>"
        handler.answer(200, [("Content-Type", "application/xml")], text.encode())

    return answer


def reset() -> Fault:
    """The connection is reset, and the server never learns of the request."""

    def break_off(handler: "Handler") -> None:
        handler.reset()

    return break_off


def lost_answer() -> Fault:
    """The server does what is asked; its answer is lost."""

    def forward_and_break_off(handler: "Handler") -> None:
        handler.ask_server()
        handler.reset()

    return forward_and_break_off


def cut(after_bytes: int) -> Fault:
    """The answer breaks off in its body."""

    def answer_half(handler: "Handler") -> None:
        found, headers, body = handler.ask_server()
        handler.answer(found, headers, body[:after_bytes])
        handler.reset()

    return answer_half


def hang(seconds: float) -> Fault:
    """No answer for so long, and then none at all."""

    def wait(handler: "Handler") -> None:
        handler.proxy.stuck.set()
        handler.proxy.closing.wait(seconds)
        handler.reset()

    return wait


def slow(seconds: float) -> Fault:
    """A right answer, late."""

    def wait_and_forward(handler: "Handler") -> None:
        handler.proxy.closing.wait(seconds)
        handler.forward()

    return wait_and_forward


def trickle(every_s: float = 0.5) -> Fault:
    """The right answer, a byte now and then: it is never silent for long, and takes hours."""

    def drip(handler: "Handler") -> None:
        found, headers, body = handler.ask_server()
        with contextlib.suppress(OSError):
            handler.answer(found, headers, b"")
            for byte in body:
                if handler.proxy.closing.wait(every_s):
                    break
                handler.wfile.write(bytes([byte]))
                handler.proxy.stuck.set()
        handler.reset()

    return drip


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    key: str
    query: str


@dataclass
class _Rule:
    fault: Fault
    method: str
    key: str
    query: str
    after: int
    times: float
    seen: int = 0

    def meets(self, method: str, key: str, query: str) -> bool:
        return (
            self.method in ("*", method)
            and fnmatch.fnmatchcase(key, self.key)
            and (not self.query or self.query in query)
        )


@dataclass
class FaultProxy:
    """The proxy; start it by `with`."""

    upstream: Bucket
    is_down: bool = False
    keys: set[str] | None = None
    """Access keys that are taken; None: all."""
    requests: list[Asked] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    stuck: threading.Event = field(default_factory=threading.Event)
    """Somebody waits for an answer that hangs or trickles."""
    _rules: list[_Rule] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.proxy = self
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "FaultProxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(10)

    @property
    def url(self) -> str:
        """Of the proxy."""
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def bucket(self) -> Bucket:
        """The server's bucket by way of the proxy."""
        return self.upstream.through(self.url)

    def add(
        self, fault: Fault, *, method: str = "*", key: str = "*", query: str = "", after: int = 0, times: float = 1
    ) -> None:
        """Spoil such requests; `times=float("inf")` for all that come."""
        with self._changed:
            self._rules.append(_Rule(fault, method, key, query, after, times))

    def clear(self) -> None:
        """Behave from now on."""
        with self._changed:
            self._rules.clear()

    def count(self, method: str = "*", key: str = "*", query: str = "") -> int:
        """How many such requests have come, whatever became of them."""
        rule = _Rule(reset(), method, key, query, 0, 0)
        with self._changed:
            return sum(rule.meets(each.method, each.key, each.query) for each in self.requests)

    def wait_for(
        self, method: str = "*", key: str = "*", query: str = "", *, times: int = 1, timeout_s: float = 20
    ) -> None:
        """Wait until so many such requests have come."""
        ends_at = time.monotonic() + timeout_s
        with self._changed:
            while self.count(method, key, query) < times:
                assert self._changed.wait(ends_at - time.monotonic()), f"no {method} of {key} came"

    def fault_for(self, method: str, key: str, query: str) -> Fault | None:
        """What becomes of a request; None: nothing."""
        with self._changed:
            for rule in self._rules:
                if rule.meets(method, key, query):
                    rule.seen += 1
                    if rule.seen > rule.after and rule.seen <= rule.after + rule.times:
                        return rule.fault
        return None

    def note(self, asked: Asked) -> None:
        """A request has come."""
        with self._changed:
            self.requests.append(asked)
            self._changed.notify_all()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: FaultProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go away in the middle; that is what the tests are about."""


class Handler(BaseHTTPRequestHandler):
    """One connection; faults may use its `ask_server`, `answer`, `forward` and `reset`."""

    protocol_version = "HTTP/1.1"
    server: Server

    @property
    def proxy(self) -> FaultProxy:
        return self.server.proxy

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(1 << 16)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        if self.proxy.is_down:
            self.reset()
            return
        self.body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path, _, query = self.path.partition("?")
        key = urllib.parse.unquote(path.strip("/").partition("/")[2])
        self.proxy.note(Asked(self.command, key, query))
        fault = self.proxy.fault_for(self.command, key, query) or Handler._pass_on
        fault(self)

    def _pass_on(self) -> None:
        taken = self.proxy.keys
        if taken is not None and not any(
            f"Credential={key}/" in self.headers.get("authorization", "") for key in taken
        ):
            expired_token()(self)
        else:
            self.forward()

    def forward(self) -> None:
        """Ask the server and say what it said."""
        found, headers, body = self.ask_server()
        self.answer(found, headers, body)

    def ask_server(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """The server's own answer. The Host stays as it was: it is signed."""
        address = urllib.parse.urlsplit(self.proxy.upstream.server_url).netloc
        connection = http.client.HTTPConnection(address, timeout=30)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(self.body or None)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def answer(self, code: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Say it to the client; a body that is shorter than its Content-Length breaks off."""
        self.send_response_only(code)
        lengths = [value for name, value in headers if name.lower() == "content-length"]
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", lengths[0] if lengths else str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def answer_error(self, code: int, s3_code: str, message: str) -> None:
        """An error as S3 writes it."""
        text = f"<?xml version='1.0'?><Error><Code>{s3_code}</Code><Message>{message}</Message></Error>"
        body = b"" if self.command == "HEAD" else text.encode()
        self.answer(code, [("Content-Type", "application/xml")], body)

    def reset(self) -> None:
        """Break the connection so that the other side notices at once."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            number = self.connection.detach()
            if number >= 0:
                os.close(number)

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def proxied(bucket: Bucket) -> Iterator[FaultProxy]:
    """A proxy before a bucket."""
    with FaultProxy(bucket) as proxy:
        yield proxy
