"""A receiver of results on this machine, which keeps what it took and answers as it is told.

with Receiver() as receiver:                 takes everything
    receiver.answers = [500, HANG, RESET]    its next answers; then `answer`
    receiver.taken                           records that it answered 2xx, by id, without repeats by webhook-id
"""

import base64
import hashlib
import hmac
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import orjson

KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()
HANG = -1
"""No answer until the receiver is closed."""
RESET = -2
"""The connection breaks after the request was read: taken, but nobody knows."""
Answer = int | Callable[["Got"], int]


@dataclass(frozen=True)
class Got:
    """One request."""

    id: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        """As JSON."""
        message: dict[str, Any] = orjson.loads(self.body)
        return message

    @property
    def indexes(self) -> list[int]:
        """The items whose results are in it."""
        return [record["index"] for record in self.message["results"]]


class Receiver:
    """What it has got, and how it answers."""

    def __init__(self, answer: Answer = 200, *, delay_s: float = 0, host: str = "127.0.0.1") -> None:
        self.answer, self.delay_s = answer, delay_s
        self.answers: list[Answer] = []
        self.headers: dict[str, str] = {}
        self.body = b"thanks"
        self.got: list[Got] = []
        self.taken: dict[int, dict[str, Any]] = {}
        """Records by index, of requests that were answered 2xx or whose answer was lost."""
        self.most_at_once = 0
        self._ids: dict[str, bytes] = {}
        self._at_once = 0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.wrong: list[str] = []
        """What no request may be; the end of the block fails if there is any."""
        self._server = _Server((host, 0), _handler(self))
        self.url = f"http://{host}:{self._server.server_port}/hook/s3cret"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
        assert self.wrong == []

    def take(self, got: Got) -> int:
        """Take a request; how to answer it."""
        with self._lock:
            self._check(got)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self.got.append(got)
            answer = self.answers.pop(0) if self.answers else self.answer
            status = answer(got) if callable(answer) else answer
            if 200 <= status < 300 or status == RESET:
                self.taken.update((record["index"], record) for record in got.message["results"])
        time.sleep(self.delay_s)
        if status == HANG:
            self._closed.wait()
        with self._lock:
            self._at_once -= 1
        return status

    def _check(self, got: Got) -> None:
        if not is_signed(got):
            self.wrong.append(f"{got.id} is not signed as it should be")
        if self._ids.setdefault(got.id, got.body) != got.body:
            self.wrong.append(f"{got.id} came with another body")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is no error of ours."""


def is_signed(got: Got, key: str = KEY) -> bool:
    """Whether its signature is that of the key."""
    secret = base64.b64decode(key.removeprefix("whsec_"))
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    expected = "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    return expected in got.headers["webhook-signature"].split()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers["content-length"]))
            if len(body) < int(headers["content-length"]):
                self.close_connection = True
                return
            status = receiver.take(Got(headers["webhook-id"], headers, body))
            if status in (HANG, RESET):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(status)
            for name, value in {**receiver.headers, "content-length": str(len(receiver.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(receiver.body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler
