"""Files of web servers: with ranges and without, through redirects, in bad times; no query is in a message."""

import gzip
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from builders import batch
from llmbatch_contract.errors import (
    InputChangedError,
    InputError,
    StoreAwayError,
    StoreDeniedError,
    StoreError,
    StoreMissingError,
)
from llmbatch_contract.plan import asked_of, changed_fields
from llmbatch_contract.trace import trace_of
from llmbatch_worker.inputs.reading import PlannedItems
from llmbatch_worker.planning.planner import make_plan
from llmbatch_worker.stores.local import LocalStore
from llmbatch_worker.stores.opening import Access, OpenStores, TimeLimits, Troubles, local_stores
from llmbatch_worker.stores.protocol import Readable
from stores.own_authority import serve_tls

DATA = bytes(range(256)) * (12 << 10)
"""3 MiB."""
_AWAY = "the server is not to be reached"
SIGNED = "?sig=c2VjcmV0&Expires=1"


class WebServer:
    """Serves DATA, well or badly."""

    def __init__(self) -> None:
        self.data = DATA
        self.has_ranges = True
        self.has_ends = True
        """Of the ranges that it is asked for; else it gives all that follows."""
        self.has_length = True
        self.etag: str | None = '"one"'
        self.statuses: list[int] = []
        """Of the next answers; 200 is an ordinary one."""
        self.cut_at: list[int] = []
        """Where the bodies of the next answers break."""
        self.encoding: str | None = None
        """What the server calls the packing of DATA."""
        self.redirect: str | None = None
        self.asked: list[str] = []
        self.paths: list[str] = []
        self.encodings: set[str] = set()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients go away in the middle
        self.start = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str = "/items.jsonl") -> str:
        return f"{self.start}{path}{SIGNED}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _handler(web: WebServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            web.asked.append(self.headers.get("range", ""))
            web.paths.append(self.path)
            web.encodings.add(self.headers.get("accept-encoding", ""))
            status = web.statuses.pop(0) if web.statuses else 200
            if status != 200:
                self.send_error(status)
            elif web.redirect is not None and not self.path.startswith("/moved"):
                self.send_response(302)
                self.send_header("Location", web.redirect)
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self._serve()

        def _serve(self) -> None:
            wanted = self.headers.get("range")
            body, status, first = web.data, 200, "0"
            if wanted and web.has_ranges:
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                if int(first) >= len(web.data):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(web.data)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                body, status = web.data[int(first) : int(last) + 1 if web.has_ends else None], 206
            self.send_response(status)
            if status == 206:
                self.send_header("Content-Range", f"bytes {first}-{int(first) + len(body) - 1}/{len(web.data)}")
            if web.etag is not None:
                self.send_header("ETag", web.etag)
            if web.encoding is not None:
                self.send_header("Content-Encoding", web.encoding)
            if web.has_length:
                self.send_header("Content-Length", str(len(body)))
            else:
                self.close_connection = True
            self.end_headers()
            if web.cut_at:
                body = body[: web.cut_at.pop(0)]
                self.close_connection = True
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def web() -> Iterator[WebServer]:
    server = WebServer()
    yield server
    server.close()


def opened(web: WebServer, troubles: Troubles | None = None) -> Readable:
    limits = TimeLimits(connect_s=2, silence_s=2)
    return OpenStores(Access(), Access(), troubles or Troubles(brief_s=0), limits).open_input(web.url())[0]


def read(store: Readable) -> bytes:
    info = store.info("")
    return b"".join(store.blocks("", 0, info.size, info.etag))


def test_a_server_with_ranges_is_read_in_ranges(web: WebServer) -> None:
    store = opened(web)
    assert (store.info("").size, store.info("").etag) == (len(DATA), '"one"')
    assert b"".join(store.blocks("", 5, len(DATA) - 5, '"one"')) == DATA[5:-5]
    assert len(web.asked) > 3 and all(each.startswith("bytes=") for each in web.asked)
    assert web.encodings == {"identity"}


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda web: setattr(web, "has_ranges", False), id="no ranges"),
        pytest.param(lambda web: setattr(web, "etag", None), id="no version"),
        pytest.param(lambda web: setattr(web, "etag", 'W/"weak"'), id="a weak version"),
    ],
)
def test_a_server_without_ranges_or_versions_is_read_from_the_start(
    web: WebServer, make: Callable[[WebServer], None]
) -> None:
    make(web)
    store = opened(web)
    assert store.info("").etag is None
    web.asked.clear()
    assert read(store) == DATA
    assert b"".join(store.blocks("", 100, 2_000_000)) == DATA[100:2_000_000]
    assert web.asked[1:] == ["", ""]


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_packed_file_is_read_as_it_is_stored_whatever_the_server_calls_its_packing(
    web: WebServer, has_ranges: bool
) -> None:
    web.data, web.encoding, web.has_ranges = gzip.compress(DATA), "gzip", has_ranges
    assert read(opened(web)) == web.data


def test_an_empty_file_has_no_bytes(web: WebServer) -> None:
    web.data = b""
    assert opened(web).info("").size == 0
    assert read(opened(web)) == b""


def test_a_server_that_does_not_say_how_long_it_is_is_refused(web: WebServer) -> None:
    web.has_length = web.has_ranges = False
    with pytest.raises(StoreError, match="does not say how long it is; download it"):
        opened(web).info("")


def test_a_server_that_gives_more_than_the_part_asked_for_is_refused(web: WebServer) -> None:
    store = opened(web)
    info = store.info("")
    web.has_ends = False
    with pytest.raises(StoreError, match="the server gave another part of it; download it"):
        list(store.blocks("", 0, 2 << 20, info.etag))


def test_a_redirect_is_followed(web: WebServer) -> None:
    web.redirect = "/moved?sig=bmV3"
    assert read(opened(web)) == DATA


def test_a_redirect_without_an_end_is_an_error(web: WebServer) -> None:
    web.redirect = "/items.jsonl"
    with pytest.raises(StoreAwayError, match="without an end"):
        opened(web).info("")


@pytest.mark.parametrize(
    ("status", "kind", "sentence"),
    [
        (401, StoreDeniedError, "the server says 401; does the link need a login, or has it expired?"),
        (403, StoreDeniedError, "the server says 403; does the link need a login, or has it expired?"),
        (404, StoreMissingError, "there is no such file"),
        (410, StoreMissingError, "there is no such file"),
        (429, StoreAwayError, "the server is in trouble, it says 429"),
        (500, StoreAwayError, "the server is in trouble, it says 500"),
        (418, StoreError, "the server says 418"),
    ],
)
def test_an_error_is_a_sentence_without_the_query(
    web: WebServer, status: int, kind: type[StoreError], sentence: str
) -> None:
    web.statuses = [status]
    with pytest.raises(kind) as caught:
        opened(web).info("")
    assert str(caught.value) == f"cannot read {web.url().partition('?')[0]}: {sentence}"


def test_a_server_that_is_not_there_is_an_error_without_the_query(web: WebServer) -> None:
    web.close()
    with pytest.raises(StoreAwayError) as caught:
        opened(web).info("")
    assert str(caught.value) == f"cannot read {web.url().partition('?')[0]}: {_AWAY}: Connection refused"


def test_a_server_without_tls_is_told_from_one_that_is_away(web: WebServer) -> None:
    web.start = web.start.replace("http:", "https:")
    with pytest.raises(StoreAwayError) as caught:
        opened(web).info("")
    assert str(caught.value).startswith(f"cannot read {web.start}/items.jsonl: {_AWAY}; it does not speak TLS there")


@pytest.mark.parametrize("has_ranges", [True, False])
def test_what_passes_is_waited_for(web: WebServer, has_ranges: bool) -> None:
    web.has_ranges = has_ranges
    web.statuses = [500, 503, 200, 429]
    web.cut_at = [0, 1000, 1_200_000, 5]
    assert read(opened(web, Troubles())) == DATA


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_file_that_changed_is_noticed(web: WebServer, has_ranges: bool) -> None:
    web.has_ranges = has_ranges
    store = opened(web)
    info = store.info("")
    web.etag = '"two"'
    with pytest.raises(InputChangedError, match="has changed since it was planned"):
        list(store.blocks("", 0, info.size, info.etag))


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_file_that_became_shorter_is_noticed(web: WebServer, has_ranges: bool) -> None:
    web.has_ranges = has_ranges
    store = opened(web)
    info = store.info("")
    web.data = DATA[: 2 << 20]
    with pytest.raises(InputChangedError, match="has become shorter"):
        list(store.blocks("", 0, info.size, info.etag))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda web: setattr(web, "etag", 'W/"two"'), id="another version"),
        pytest.param(lambda web: setattr(web, "data", DATA + b"more"), id="more of it"),
    ],
)
def test_a_file_that_changed_since_it_was_found_is_noticed(web: WebServer, change: Callable[[WebServer], None]) -> None:
    web.has_ranges = False
    stores = OpenStores(Access(uri=web.url()), Access(), Troubles(brief_s=0))
    (found,) = stores.find_inputs(web.url())
    change(web)
    store, name = stores.open_input(found.uri)
    with pytest.raises(InputChangedError, match="has changed since it was planned"):
        list(store.blocks(name, 0, found.info.size, found.info.etag))


def test_an_address_is_one_input_whatever_characters_it_has(web: WebServer) -> None:
    stores = OpenStores(Access(), Access(), Troubles(brief_s=0))
    (found,) = stores.find_inputs(web.url("/a*b.jsonl"))
    assert (found.uri, found.info.size) == (web.url("/a*b.jsonl").partition("?")[0], len(DATA))


def test_what_is_found_has_no_query_and_is_opened_with_the_one_of_the_manifest(web: WebServer) -> None:
    url = web.url("/signed.jsonl")
    stores = OpenStores(Access(uri=url), Access(), Troubles(brief_s=0))
    (found,) = stores.find_inputs(url)
    assert "?" in url
    assert "?" not in found.uri
    assert url.partition("?")[2] not in repr(Access(uri=url))
    store, name = stores.open_input(found.uri)
    assert b"".join(store.blocks(name, 0, len(DATA), found.info.etag)) == DATA
    assert {path.partition("?")[2] for path in web.paths} == {url.partition("?")[2]}


def test_a_plan_does_not_hold_the_query_of_its_input(web: WebServer, tmp_path: Path) -> None:
    web.data = b'{"text": "a"}\n' * 3
    made = batch(input={"uri": web.url()}, request={"prompt": "{{ text }}"})
    stores, store = local_stores(made), LocalStore(tmp_path.as_uri())
    planned = make_plan(made, store, uid="u", created_at="2026-01-01T00:00:00.000Z", trace=trace_of("u", None),
                        workers=1, stores=stores)  # fmt: skip
    assert SIGNED.encode() not in store.read("plan.json")
    assert b"sig=" not in store.read("plan.json")
    items = PlannedItems(planned.plan.input, None, store, stores)
    assert [number for shard in planned.plan.shards for number, _id, _row in items.rows(shard)] == [0, 1, 2]
    assert changed_fields(planned.plan.asked, asked_of(made)) == []
    assert changed_fields(
        planned.plan.asked, asked_of(batch(input={"uri": f"{web.url()}2"}, request={"prompt": "{{ text }}"}))
    ) == ["spec.input.uri"]


def test_nothing_is_written_to_a_web_server(web: WebServer) -> None:
    with pytest.raises(InputError, match="can be read only") as caught:
        OpenStores(Access(), Access()).open(web.url())
    assert "sig=" not in str(caught.value)


def test_a_server_s_own_authority_is_named_by_a_variable(
    web: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve_tls(web.server, tmp_path)
    web.start = f"https://localhost:{web.server.server_port}"
    with pytest.raises(StoreAwayError, match=r"certificate is not trusted; .* SSL_CERT_FILE"):
        opened(web).info("")
    monkeypatch.setenv("SSL_CERT_FILE", str(served))
    assert read(opened(web)) == DATA
