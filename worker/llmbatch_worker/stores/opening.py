"""Opens stores by URI: folders, object stores, web servers. What a local run and the command line use; pods add to it.

Made once per process and use: it holds the connections, the credentials, and what is being waited for.
"""

import threading
from collections.abc import Iterable, Iterator

from llmbatch_contract.errors import InputError, StoreMissingError
from llmbatch_contract.spec import LLMBatch
from llmbatch_contract.storage import OBJECT_SCHEMES, WEB_SCHEMES, scheme_of, without_query
from llmbatch_worker.stores.ahead import ReadAhead
from llmbatch_worker.stores.clients import Access, Client, TimeLimits
from llmbatch_worker.stores.cloud import CloudStore
from llmbatch_worker.stores.credentials import of_environment
from llmbatch_worker.stores.local import LOCAL
from llmbatch_worker.stores.patterns import pattern_of
from llmbatch_worker.stores.protocol import Found, Readable, Store
from llmbatch_worker.stores.troubles import Troubles
from llmbatch_worker.stores.uris import ObjectUri, object_uri
from llmbatch_worker.stores.web import WebStore

__all__ = ["Access", "OpenStores", "TimeLimits", "Troubles", "local_stores"]

MOST_OBJECTS = 100_000


class OpenStores:
    """Stores of every kind that a URI can name: `file`, `s3`, `gs`, `az`, and `https` to read."""

    def __init__(
        self, input: Access, output: Access, troubles: Troubles | None = None, limits: TimeLimits | None = None
    ) -> None:
        """`input` and `output` say how their stores are reached; working objects are written as outputs are."""
        self.troubles = troubles if troubles is not None else Troubles()
        self._input, self._output = input, output
        self._limits = limits if limits is not None else TimeLimits()
        self._clients: dict[tuple[bool, str, str], Client] = {}
        self._pages: dict[str, WebStore] = {}
        self._ahead = ReadAhead()
        self._lock = threading.Lock()

    def open(self, uri: str) -> Store:
        """A folder for working objects or outputs."""
        if scheme_of(uri) in OBJECT_SCHEMES:
            return self._cloud(object_uri(uri), self._output)
        if scheme_of(uri) in WEB_SCHEMES:
            raise InputError(f"{without_query(uri)} can be read only; results go to s3://, gs://, az:// or a folder")
        return LOCAL.open(uri)

    def open_input(self, uri: str) -> tuple[Readable, str]:
        """The store of an object, and the object's name in it. The URI is taken to the letter."""
        if scheme_of(uri) in OBJECT_SCHEMES:
            place = object_uri(uri)
            return self._cloud(ObjectUri(place.scheme, place.bucket, ""), self._input), place.key
        if scheme_of(uri) in WEB_SCHEMES:
            return self._web(self._with_query(uri)), ""
        return LOCAL.open_input(uri)

    def find_inputs(self, uri: str) -> Iterable[Found]:
        """The objects that a URI stands for, in the order of their names."""
        if scheme_of(uri) in OBJECT_SCHEMES:
            return self._found(uri)
        if scheme_of(uri) in WEB_SCHEMES:
            store, name = self.open_input(uri)
            return [Found(without_query(uri), store.info(name))]
        return LOCAL.find_inputs(uri)

    def _with_query(self, url: str) -> str:
        """A web address as the manifest has it."""
        given = self._input.uri
        return given if given is not None and without_query(given) == url else url

    def _web(self, url: str) -> WebStore:
        """The one that found the file, which knows what the server said of it then."""
        with self._lock:
            if url not in self._pages:
                self._pages[url] = WebStore(url, self.troubles, self._ahead, self._limits)
            return self._pages[url]

    def _found(self, uri: str) -> Iterator[Found]:
        place = object_uri(uri)
        if not place.key and not uri.endswith("/"):
            raise InputError(f"{uri} names no object; end it with / for all that are there")
        pattern = pattern_of(place.key)
        store = self._cloud(ObjectUri(place.scheme, place.bucket, ""), self._input)
        if isinstance(pattern, str):
            yield Found(store.where(pattern), store.info(pattern))
            return
        found = store.find(pattern, MOST_OBJECTS + 1)
        if not found:
            raise StoreMissingError(f"there is no object {place}, or only empty ones; look at the bucket and the name")
        if len(found) > MOST_OBJECTS:
            raise InputError(f"{place} stands for more than {MOST_OBJECTS:,} objects; make fewer and larger ones")
        yield from found

    def _cloud(self, place: ObjectUri, access: Access) -> CloudStore:
        key = (access is self._output, place.scheme, place.bucket)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = Client(place.scheme, place.bucket, access, self._limits)
            client = self._clients[key]
        return CloudStore(place, client, self.troubles, self._ahead)


def local_stores(batch: LLMBatch, troubles: Troubles | None = None) -> OpenStores:
    """The stores of a run on this machine: credentials are the process's own variables, whatever Secrets are named."""
    read = of_environment()
    spec = batch.spec
    return OpenStores(Access(spec.input.store, read, uri=spec.input.uri), Access(spec.output.store, read), troubles)
