"""Files of web servers, to read. Used by opening.py. A URL's query may be a signature, so no message shows it.

It asks by GET alone, as signed URLs allow, and finds out whether the server has ranges and versions: without them the
file is read from its start to its end, and whoever plans makes a copy.
"""

import contextlib
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from llmbatch_contract.errors import (
    InputChangedError,
    StoreAwayError,
    StoreDeniedError,
    StoreError,
    StoreMissingError,
)
from llmbatch_contract.storage import without_query
from llmbatch_worker.stores.ahead import ReadAhead
from llmbatch_worker.stores.clients import TimeLimits
from llmbatch_worker.stores.protocol import ObjectInfo
from llmbatch_worker.stores.troubles import Troubles

_PIECE_BYTES = 1 << 20
_RANGE = re.compile(r"bytes (?:\d+-\d+|\*)/(\d+)")
_PART = re.compile(r"bytes (\d+)-(\d+)/")
_NO_RANGE = httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE
_CHANGED = "has changed since it was planned; put the planned version back, or start over"


@dataclass(frozen=True)
class _Seen:
    """What the server said of the file."""

    size: int
    etag: str | None
    """A strong one, where the server has ranges, too."""
    version: tuple[str, str]
    """Whatever it says, to notice a change between two tries."""

    def is_same(self, answer: httpx.Response) -> bool:
        """Whether an answer with the whole file is about this one, or less of it, which is noticed at its end."""
        size = int(answer.headers.get("content-length", self.size))
        return _version(answer) == self.version and size <= self.size


class WebStore:
    """One URL: Readable, whatever the name."""

    def __init__(self, url: str, troubles: Troubles, ahead: ReadAhead, limits: TimeLimits) -> None:
        self._url, self._troubles, self._ahead = url, troubles, ahead
        self._timeout = httpx.Timeout(limits.silence_s, connect=limits.connect_s)
        self._seen: _Seen | None = None

    def info(self, name: str) -> ObjectInfo:
        """Size and version. Without a version it cannot be read by ranges that belong together."""
        seen = self._troubles.patiently(self._look)
        self._seen = seen
        return ObjectInfo(seen.size, seen.etag)

    def blocks(self, name: str, start: int, end: int, etag: str | None = None) -> Iterator[bytes]:
        """The bytes from `start` to `end`, in blocks. Raises InputChangedError if the ETag is another."""
        if etag is None:
            return self._from_start(start, end)
        return self._ahead.blocks(
            lambda first, last: self._troubles.patiently(lambda: self._range(first, last, etag)), start, end
        )

    def where(self, name: str) -> str:
        """The URL without its query."""
        return without_query(self._url)

    def _look(self) -> _Seen:
        with self._asked("bytes=0-0") as answer:
            found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
            if answer.status_code == httpx.codes.PARTIAL_CONTENT and found:
                return _Seen(int(found[1]), _strong(answer), _version(answer))
            if answer.status_code == _NO_RANGE:
                return _Seen(0, None, _version(answer))
            if "content-length" not in answer.headers:
                raise StoreError(f"cannot read {self.where('')}: the server does not say how long it is; download it")
            return _Seen(int(answer.headers["content-length"]), None, _version(answer))

    def _range(self, start: int, end: int, etag: str) -> bytes:
        with self._asked(f"bytes={start}-{end - 1}") as answer:
            if answer.headers.get("etag", etag) != etag:
                raise InputChangedError(f"{self.where('')} {_CHANGED}")
            if answer.status_code == _NO_RANGE:
                raise InputChangedError(f"{self.where('')} has become shorter than when it was planned")
            if answer.status_code != httpx.codes.PARTIAL_CONTENT:
                raise StoreAwayError(f"cannot read {self.where('')}: the server gave it whole, not the part asked for")
            part = _PART.match(answer.headers.get("content-range", ""))
            if part is not None and (int(part[1]) != start or int(part[2]) >= end):
                raise StoreError(f"cannot read {self.where('')}: the server gave another part of it; download it")
            block = b"".join(answer.iter_raw())
        if len(block) < end - start:
            raise InputChangedError(f"{self.where('')} has become shorter than when it was planned")
        return block

    def _from_start(self, start: int, end: int) -> Iterator[bytes]:
        """In one go; when the connection breaks, from the start again up to where it broke."""
        at = start
        while at < end:
            with contextlib.ExitStack() as stack:
                pieces, piece = self._troubles.patiently(functools.partial(self._pieces_at, stack, at))
                while piece and at < end:
                    yield piece[: end - at]
                    at += len(piece)
                    try:
                        piece = next(pieces, b"") if at < end else b""
                    except StoreAwayError:
                        break
                else:
                    if at < end:
                        raise InputChangedError(f"{self.where('')} has become shorter than when it was planned")

    def _pieces_at(self, stack: contextlib.ExitStack, at: int) -> tuple[Iterator[bytes], bytes]:
        """What follows an offset, and the first piece of it."""
        answer = stack.enter_context(self._asked(None))
        if self._seen is not None and not self._seen.is_same(answer):
            raise InputChangedError(f"{self.where('')} {_CHANGED}")
        pieces = self._pieces(answer)
        while (piece := next(pieces, b"")) and len(piece) <= at:
            at -= len(piece)
        return pieces, piece[at:]

    def _pieces(self, answer: httpx.Response) -> Iterator[bytes]:
        with self._errors():
            yield from answer.iter_raw(_PIECE_BYTES)  # sizes are of what is sent; packed files are called an encoding

    @contextlib.contextmanager
    def _asked(self, range_: str | None) -> Iterator[httpx.Response]:
        """An answer that is no error; connections are not kept, as there is nobody to close them."""
        headers = {"accept-encoding": "identity"} | ({"range": range_} if range_ is not None else {})
        with (
            self._errors(),
            httpx.Client(timeout=self._timeout, follow_redirects=True) as client,
            client.stream("GET", self._url, headers=headers) as answer,
        ):
            if any(each.url.scheme == "http" for each in answer.history) and self._url.startswith("https:"):
                raise StoreError(f"cannot read {self.where('')}: it leads from https to http")
            if not answer.is_success and answer.status_code != _NO_RANGE:
                raise self._refusal(answer.status_code)
            yield answer

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise StoreAwayError(f"cannot read {self.where('')}: {_reason(error)}") from None

    def _refusal(self, status: int) -> StoreError:
        what = f"cannot read {self.where('')}"
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return StoreDeniedError(f"{what}: the server says {status}; does the link need a login, or has it expired?")
        if status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
            return StoreMissingError(f"{what}: there is no such file")
        if status >= httpx.codes.INTERNAL_SERVER_ERROR or status in (
            httpx.codes.TOO_MANY_REQUESTS,
            httpx.codes.REQUEST_TIMEOUT,
        ):
            return StoreAwayError(f"{what}: the server is in trouble, it says {status}")
        return StoreError(f"{what}: the server says {status}")


def _strong(answer: httpx.Response) -> str | None:
    """The ETag, if it stands for the very same bytes."""
    etag: str | None = answer.headers.get("etag")
    return None if etag is None or etag.startswith("W/") else etag


def _version(answer: httpx.Response) -> tuple[str, str]:
    return answer.headers.get("etag", ""), answer.headers.get("last-modified", "")


def _because(said: str) -> str:
    """What the system says of a connection that could not be made."""
    if "[SSL" in said:
        return "; it does not speak TLS there, should the address be http://?"
    if said.startswith("[Errno -"):
        return ": its name is not known"
    found = re.fullmatch(r"\[Errno \d+\] ([\w ]+)", said)
    return f": {found[1]}" if found else ""


def _reason(error: Exception) -> str:
    """In words; httpx's own may show the URL."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "the server's certificate is not trusted; give its authority's in a file that SSL_CERT_FILE names"
    if isinstance(error, httpx.TimeoutException):
        return "the server did not answer in time"
    if isinstance(error, httpx.ConnectError):
        return f"the server is not to be reached{_because(str(error))}"
    if isinstance(error, httpx.TooManyRedirects):
        return "it leads from one address to the next without an end"
    return "the connection broke"
