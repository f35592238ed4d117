"""The little of Google Cloud Storage (its XML API) and of Azure Blob Storage that stores use, in memory, for tests.

Azure's was compared with Azurite 3.35.0: errors, conditions, ETags, lists, removals, odd names, blocks. Google's only
in reading, with fake-gcs-server 1.56.1, which takes no writes by the XML API. What is asked is kept in `asked`: method,
path, query, headers.
"""

import hashlib
import re
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

_GONE = "HTTP/1.1 202 Accepted\r\n\r\n"
_NOT_THERE = "HTTP/1.1 404 The specified blob does not exist.\r\nx-ms-error-code: BlobNotFound\r\n\r\n"
_KEPT = (
    "HTTP/1.1 403 This request is not authorized to perform this operation using this permission.\r\n"
    "x-ms-error-code: AuthorizationPermissionMismatch\r\n\r\n"
)
_DATE = "Sun, 22 Nov 2026 10:00:00 GMT"


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    query: dict[str, str]
    headers: Message


class OtherCloud:
    """A server with one bucket or container; a context manager."""

    def __init__(
        self, container: str, respond: "Callable[[OtherCloud, Handler, str, dict[str, str], bytes], None]"
    ) -> None:
        self.container = container
        self.objects: dict[str, bytes] = {}
        self.parts: dict[tuple[str, str], bytes] = {}
        self.asked: list[Asked] = []
        self.refuse: tuple[int, str, str] | None = None
        """Status, code and message of every answer."""
        self.keeps_all = False
        """Azure's batches of deletions are taken, and each of these refused."""
        self.respond = respond
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"cloud": self}))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "OtherCloud":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_port}"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    cloud: OtherCloud

    def do_GET(self) -> None:
        """Any method."""
        path, _, query_text = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query_text, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.cloud.asked.append(Asked(self.command, path, query, self.headers))
        name = urllib.parse.unquote(path).strip("/").partition("/")[2]
        if self.cloud.refuse is not None:
            self.fail(*self.cloud.refuse)
        elif urllib.parse.unquote(path).strip("/").partition("/")[0] != self.cloud.container:
            self.fail(404, "ContainerNotFound" if "x-ms-version" in self.headers else "NoSuchBucket", "not there")
        else:
            self.cloud.respond(self.cloud, self, name, query, body)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Say something."""
        self.send_response(status)
        for header, value in headers.items():
            self.send_header(header.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, status: int, code: str, message: str) -> None:
        """Say no."""
        self.answer(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())

    def serve(self, name: str, missing: str) -> None:
        """HEAD and GET, with ranges and If-Match."""
        data = self.cloud.objects.get(name)
        if data is None:
            self.fail(404, missing, "The specified key does not exist.")
            return
        etag, wanted = etag_of(data), self.headers.get("range") or self.headers.get("x-ms-range")
        if self.headers.get("if-match") not in (None, etag, _bare(etag)):
            self.fail(412, "ConditionNotMet", "It is another one.")
            return
        headers = {"ETag": etag, "Last_Modified": _DATE}
        if not wanted or self.command == "HEAD":
            self.send_response(200)
            self._finish(headers, data)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        if int(first) >= len(data):
            self.fail(416, "InvalidRange", "The requested range is not satisfiable.")
            return
        part = data[int(first) : int(last) + 1]
        self.answer(206, part, **headers, Content_Range=f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}")

    def _finish(self, headers: dict[str, str], data: bytes) -> None:
        for header, value in headers.items():
            self.send_header(header.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def etag_of(data: bytes) -> str:
    """As a server makes it."""
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def _bare(etag: str) -> str:
    """As Azure lists it; it takes either."""
    return etag.strip('"')


def google(bucket: str) -> OtherCloud:
    """Google Cloud Storage."""
    return OtherCloud(bucket, _google)


def azure(container: str, account: str) -> OtherCloud:
    """Azure Blob Storage; the account is the first part of the path, as with its emulator."""
    return OtherCloud(container, _azure)


def _google(cloud: OtherCloud, handler: Handler, name: str, query: dict[str, str], body: bytes) -> None:
    match handler.command:
        case "GET" if "list-type" in query:
            handler.answer(200, _google_list(cloud, query))
        case "GET" | "HEAD":
            handler.serve(name, "NoSuchKey")
        case "PUT" if "partNumber" in query:
            cloud.parts[name, query["partNumber"].zfill(8)] = body
            handler.answer(200, ETag=etag_of(body))
        case "PUT" if handler.headers.get("x-goog-if-generation-match") == "0" and name in cloud.objects:
            handler.fail(412, "PreconditionFailed", "At least one of the pre-conditions did not hold.")
        case "PUT":
            cloud.objects[name] = body
            handler.answer(200, ETag=etag_of(body))
        case "POST" if "uploads" in query:
            text = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
            handler.answer(200, text.encode())
        case "POST":
            cloud.objects[name] = _joined(cloud, name)
            etag = escape(etag_of(cloud.objects[name]))
            text = f"<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>"
            handler.answer(200, text.encode())
        case "DELETE" if "uploadId" in query:
            _joined(cloud, name)
            handler.answer(204)
        case _ if cloud.objects.pop(name, None) is None:
            handler.fail(404, "NoSuchKey", "The specified key does not exist.")
        case _:
            handler.answer(204)


def _joined(cloud: OtherCloud, name: str) -> bytes:
    keys = sorted(key for key in cloud.parts if key[0] == name)
    return b"".join(cloud.parts.pop(key) for key in keys)


def _google_list(cloud: OtherCloud, query: dict[str, str]) -> bytes:
    each = "".join(
        f"<Contents><Key>{escape(name)}</Key><Size>{len(data)}</Size><ETag>{etag_of(data)}</ETag>"
        "<LastModified>2026-11-22T10:00:00.000Z</LastModified></Contents>"
        for name, data in sorted(cloud.objects.items())
        if name.startswith(query.get("prefix", "")) and name > query.get("start-after", "")
    )
    return f"<ListBucketResult>{each}</ListBucketResult>".encode()


def _azure(cloud: OtherCloud, handler: Handler, name: str, query: dict[str, str], body: bytes) -> None:
    match handler.command, query.get("comp"):
        case "GET", "list":
            handler.answer(200, _azure_list(cloud, query))
        case (("GET" | "HEAD"), _):
            handler.serve(name, "BlobNotFound")
        case "PUT", "block":
            cloud.parts[name, query["blockid"]] = body
            handler.answer(201)
        case "PUT", "blocklist":
            ids = re.findall(r"<(?:Latest|Uncommitted)>([^<]+)<", body.decode())
            cloud.objects[name] = b"".join(cloud.parts.pop((name, each)) for each in ids)
            handler.answer(201, ETag=etag_of(cloud.objects[name]), Last_Modified=_DATE)
        case "PUT", _ if handler.headers.get("if-none-match") == "*" and name in cloud.objects:
            handler.fail(409, "BlobAlreadyExists", "The specified blob already exists.")
        case "PUT", _:
            cloud.objects[name] = body
            handler.answer(201, ETag=etag_of(body), Last_Modified=_DATE)
        case "POST", "batch":
            _azure_batch(cloud, handler, body)
        case _ if cloud.objects.pop(name, None) is None:
            handler.fail(404, "BlobNotFound", "The specified blob does not exist.")
        case _:
            handler.answer(202)


def _azure_batch(cloud: OtherCloud, handler: Handler, body: bytes) -> None:
    """Several deletions in one request."""
    parts = []
    for number, part in enumerate(body.decode().split("DELETE ")[1:]):
        name = urllib.parse.unquote(part.partition(" ")[0].partition("?")[0]).strip("/").partition("/")[2]
        said = _KEPT if cloud.keeps_all else _GONE if cloud.objects.pop(name, None) is not None else _NOT_THERE
        parts.append(f"--b\r\nContent-Type: application/http\r\nContent-ID: {number}\r\n\r\n{said}\r\n")
    handler.answer(202, ("".join(parts) + "--b--\r\n").encode(), Content_Type="multipart/mixed; boundary=b")


def _azure_list(cloud: OtherCloud, query: dict[str, str]) -> bytes:
    each = "".join(
        f"<Blob><Name>{escape(name)}</Name><Properties><Last-Modified>{_DATE}</Last-Modified>"
        f"<Content-Length>{len(data)}</Content-Length><Content-Type>x</Content-Type><Etag>{_bare(etag_of(data))}</Etag>"
        "</Properties></Blob>"
        for name, data in sorted(cloud.objects.items())
        if name.startswith(query.get("prefix", ""))
    )
    return f"<EnumerationResults><Blobs>{each}</Blobs><NextMarker/></EnumerationResults>".encode()
