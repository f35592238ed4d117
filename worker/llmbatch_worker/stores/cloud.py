"""Objects in S3, Google Cloud Storage and Azure Blob Storage, through obstore. Used by opening.py.

Every call is tried again by Troubles, so that waiting can be seen and ended; keys are read again when they are refused.
"""

import contextlib
import functools
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, InvalidPathError, PreconditionError

from llmbatch_contract.errors import InputChangedError, StoreDeniedError, StoreError
from llmbatch_worker.stores.ahead import ReadAhead
from llmbatch_worker.stores.clients import Client
from llmbatch_worker.stores.cloud_words import UploadGoneError, error_of
from llmbatch_worker.stores.failures import read_failure
from llmbatch_worker.stores.patterns import Pattern
from llmbatch_worker.stores.protocol import CLOUD_CADENCE, Cadence, Found, ObjectInfo, Write
from llmbatch_worker.stores.remedies import Doing, Target
from llmbatch_worker.stores.troubles import Troubles
from llmbatch_worker.stores.uris import ObjectUri

if TYPE_CHECKING:
    from obstore import ObjectMeta, WritableFile

PART_BYTES = 8 << 20
_PARTS_AT_ONCE = 4
_REMOVED_AT_ONCE = 1000
_PAGE = 1000
_AFTER_ALL = "\U0010ffff"
_ODD = "has a name that cannot be used here: with control characters, or an empty part, . or .. between slashes"
_PATH = re.compile(r'Path "([^"]*)"')
_ERRORS = (BaseError, OSError, ValueError)
_CHANGED = "has changed since it was planned; put the planned version back, or start over"

T = TypeVar("T")


class CloudStore:
    """A folder of a bucket or container: a Store."""

    def __init__(self, place: ObjectUri, client: Client, troubles: Troubles, ahead: ReadAhead) -> None:
        """`place` is the folder, with or without `/` at its end; an empty key is the whole bucket."""
        self._place, self._client, self._troubles, self._ahead = place, client, troubles, ahead
        self._folder = f"{place.key.rstrip('/')}/" if place.key.strip("/") else ""

    @property
    def cadence(self) -> Cadence:
        """Calls cost money."""
        return CLOUD_CADENCE

    def info(self, name: str) -> ObjectInfo:
        """Size and version of an object."""
        return self._do(Doing.READ, name, lambda store: self._info(store, name))

    def _info(self, store: Any, name: str) -> ObjectInfo:
        """An answer to HEAD has no words: where it is an error, GET says why."""
        try:
            return _info(obstore.head(store, self._key(name)))
        except (BaseError, OSError) as error:
            if read_failure(str(error)).status is None:
                raise
        obstore.get(store, self._key(name), options={"range": (0, 1)})
        return _info(obstore.head(store, self._key(name)))

    def read(self, name: str) -> bytes:
        """A whole object."""
        return self._do(Doing.READ, name, lambda store: bytes(obstore.get(store, self._key(name)).bytes()))

    def blocks(self, name: str, start: int, end: int, etag: str | None = None) -> Iterator[bytes]:
        """The bytes from `start` to `end`, in blocks that are fetched ahead. Raises InputChangedError if the object's
        ETag is another."""

        def fetch(first: int, last: int) -> bytes:
            return self._do(Doing.READ, name, lambda store: self._range(store, name, first, last, etag))

        return self._ahead.blocks(fetch, start, end)

    def _range(self, store: Any, name: str, start: int, end: int, etag: str | None) -> bytes:
        options: dict[str, Any] = {"range": (start, end)} | ({"if_match": etag} if etag is not None else {})
        try:
            block = bytes(obstore.get(store, self._key(name), options=options).bytes())  # type: ignore[arg-type]
        except PreconditionError:
            raise InputChangedError(f"{self.where(name)} {_CHANGED}") from None
        except BaseError as error:
            if read_failure(str(error)).status != 416:
                raise
            block = b""
        if len(block) < end - start:
            raise InputChangedError(f"{self.where(name)} has become shorter than when it was planned")
        return block

    def put(self, name: str, data: bytes) -> None:
        """Write an object, over an older one if there is one."""
        self._do(Doing.WRITE, name, lambda store: obstore.put(store, self._key(name), data, use_multipart=False))

    def create(self, name: str, data: bytes) -> bool:
        """Write an object only if there is none of that name; False if there is.

        After a try whose answer was lost, the object may be this very one: its content tells.
        """
        tries = 0

        def attempt(store: Any) -> bool:
            nonlocal tries
            tries += 1
            try:
                obstore.put(store, self._key(name), data, mode="create", use_multipart=False)
            except AlreadyExistsError as error:
                if read_failure(str(error)).code == "ConditionalRequestConflict":
                    raise
                return tries > 1 and bytes(obstore.get(store, self._key(name)).bytes()) == data
            return True

        return self._do(Doing.WRITE, name, attempt)

    def exists(self, name: str) -> bool:
        """Whether there is an object of that name."""

        def attempt(store: Any) -> bool:
            try:
                obstore.head(store, self._key(name))
            except FileNotFoundError:
                return False
            except BaseError:
                self._info(store, name)
            return True

        return self._do(Doing.READ, name, attempt)

    def names(self, prefix: str) -> list[str]:
        """Names of all objects below a prefix, sorted."""
        return self._do(Doing.LIST, prefix, lambda store: sorted(name for name, _ in self._listed(store, prefix)))

    def find(self, pattern: Pattern, most: int) -> list[Found]:
        """The objects of a pattern, in the order of their names, no more than `most`. Empty ones are passed over: they
        may be the marks that some tools make for folders."""

        def attempt(store: Any) -> list[Found]:
            listed = self._listed(store, pattern.start)
            found = (
                Found(self.where(name), _info(meta)) for name, meta in listed if meta["size"] and pattern.matches(name)
            )
            return sorted(islice(found, most), key=lambda each: each.uri)

        return self._do(Doing.LIST, pattern.folder, attempt)

    def _listed(self, store: Any, start: str) -> Iterator[tuple[str, Any]]:
        """Objects whose names begin so, page by page. Folders are listed whole; where they are in order, it begins
        shortly before the first such name and ends after the last."""
        key = self._folder + start
        folder, _, rest = key.rpartition("/")
        offset = key[:-1] if self._client.lists_in_order and rest[:-1] not in ("", ".", "..") else None
        for page in obstore.list(store, folder or None, offset=offset, chunk_size=_PAGE):
            for meta in page:
                if meta["path"].startswith(key):
                    yield meta["path"].removeprefix(self._folder), meta
            if self._client.lists_in_order and page and page[-1]["path"] > key + _AFTER_ALL:
                return

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects; those that are not there are passed over. A refusal is not waited for: often nobody minds."""
        rest = iter(names)
        while some := list(islice(rest, _REMOVED_AT_ONCE)):
            self._do(Doing.REMOVE, some[0], functools.partial(self._remove, names=some))

    def _remove(self, store: Any, names: list[str]) -> None:
        try:
            obstore.delete(store, [self._key(name) for name in names])
        except FileNotFoundError:  # not of S3: some of them may still be there
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    obstore.delete(store, self._key(name))

    @contextlib.contextmanager
    def writer(self, name: str) -> Iterator[Write]:
        """A function that writes an object bit by bit, in parts that are sent while it goes on; the object appears when
        the block ends without an error, else its parts are removed."""
        written, before = 0, self._etag(name)
        with self._errors(Doing.WRITE, name):
            upload = obstore.open_writer(
                self._client.uploads(), self._key(name), buffer_size=PART_BYTES, max_concurrency=_PARTS_AT_ONCE
            )

        def write(data: bytes) -> None:
            nonlocal written
            written += len(data)
            with self._errors(Doing.WRITE, name):
                upload.write(data)

        try:
            yield write
            self._close(upload, name, written, before)
        except BaseException as error:
            if isinstance(error, StoreDeniedError):
                with contextlib.suppress(StoreError, *_ERRORS):  # of new ones; the refusal counts
                    self._client.renew()
            with contextlib.suppress(*_ERRORS):  # of the removal; the error that led here counts
                upload.__exit__(*sys.exc_info())
            raise

    def _close(self, upload: "WritableFile", name: str, written: int, before: str | None) -> None:
        """Put the parts together. A store that knows no such upload may have done so, and its answer was lost."""
        try:
            with self._errors(Doing.WRITE, name):
                upload.close()
        except UploadGoneError:
            info = self.info(name) if self.exists(name) else None
            if info is None or info.size != written or info.etag == before:
                raise

    def _etag(self, name: str) -> str | None:
        """Of an older object of that name, as far as it may be seen."""
        with contextlib.suppress(*_ERRORS):
            return obstore.head(self._client.objects(), self._key(name))["e_tag"]
        return None

    def where(self, name: str) -> str:
        """The object's URI."""
        return f"{self._place.scheme}://{self._place.bucket}/{self._folder}{name}".rstrip("/" if not name else "")

    def _key(self, name: str) -> str:
        return self._folder + name

    def _do(self, doing: Doing, name: str, attempt: Callable[[Any], T]) -> T:
        """Do it with the client as it is now, again and again while that makes sense."""

        def once() -> T:
            try:
                with self._errors(doing, name):
                    return attempt(self._client.objects())
            except StoreDeniedError:
                with self._errors(doing, name):
                    if not self._client.renew():
                        raise
            with self._errors(doing, name):
                return attempt(self._client.objects())

        return self._troubles.patiently(once, refusals_pass=doing is not Doing.REMOVE)

    @contextlib.contextmanager
    def _errors(self, doing: Doing, name: str) -> Iterator[None]:
        """Turn obstore's errors into ours. The original is left out: its text may show keys."""
        try:
            yield
        except _ERRORS as error:
            self._raise(error, doing, name)

    def _raise(self, error: Exception, doing: Doing, name: str) -> NoReturn:
        if isinstance(error, InvalidPathError) or (isinstance(error, ValueError) and "path" in str(error)):
            raise StoreError(f"cannot {doing} {self.where(name)}: {_odd(str(error))}") from None
        place = self._place
        target = Target(
            place.scheme, place.bucket, self.where(name), doing, self._client.has_keys, self._client.secrets
        )
        raise error_of(read_failure(str(error)), target) from None


def _info(meta: "ObjectMeta") -> ObjectInfo:
    return ObjectInfo(meta["size"], meta["e_tag"])


def _odd(text: str) -> str:
    found = _PATH.search(text)
    return f"{found[1]!r} {_ODD}" if found else f"it {_ODD}"
