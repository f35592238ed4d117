"""Objects in folders, through obstore. The store of every local run.

obstore's own async calls can abort the interpreter at exit, so none are made:
https://github.com/PyO3/pyo3-async-runtimes/issues/40.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import obstore
import obstore.store
import tenacity
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    GenericError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
)

from llmbatch_contract.errors import (
    InputChangedError,
    StoreError,
    StoreMissingError,
)
from llmbatch_contract.layout import WORK_FOLDER
from llmbatch_worker.stores.local_errors import is_lasting, store_error
from llmbatch_worker.stores.protocol import FOLDER_CADENCE, Cadence, Found, ObjectInfo, Write
from llmbatch_worker.stores.uris import local_path, split_uri
from llmbatch_worker.stores.walking import names_of

if TYPE_CHECKING:
    from obstore import Bytes, GetOptions

BLOCK_BYTES = 1 << 20
RESTORE = "put the planned version back, or start over with another output.uri or --state"
_TRIES = 4
_OPENED_FOLDERS = 64

T = TypeVar("T")


class LocalStore:
    """A folder of objects: a Store."""

    def __init__(self, uri: str, *, create: bool = True) -> None:
        self.uri = uri.rstrip("/")
        self._folder = path = local_path(uri)
        shown = self.where("").rstrip("/") or "/"
        if path.exists() and not path.is_dir():
            raise StoreError(f"cannot open the folder {shown}: it is a file")
        if not create and not path.is_dir():
            raise StoreMissingError(f"{shown} is not a folder")
        try:
            self._store = obstore.store.LocalStore(path, mkdir=True)
        except (BaseError, OSError) as error:
            raise store_error(_as_system_error(error), f"cannot open the folder {shown}") from error

    @property
    def cadence(self) -> Cadence:
        """Calls cost next to nothing."""
        return FOLDER_CADENCE

    def info(self, name: str) -> ObjectInfo:
        """Size and version of an object. A folder, pipe or device in its place is an error, not a wait for ever."""
        with self._errors("cannot read", name):
            self._check_file(name)
            meta = obstore.head(self._store, name)
        return ObjectInfo(meta["size"], meta["e_tag"])

    def _check_file(self, name: str) -> None:
        path = self._path(name)
        if path.is_file():
            return
        if path.is_symlink() and not path.exists():
            raise StoreMissingError(f"cannot read {self.where(name)}: it is a link to what is not there")
        if path.exists():
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise StoreError(f"cannot read {self.where(name)}: it is {kind}; give a file")

    def read(self, name: str) -> bytes:
        """A whole object."""
        with self._errors("cannot read", name):
            return bytes(_patiently(lambda: obstore.get(self._store, name).bytes()))

    def blocks(self, name: str, start: int, end: int, etag: str | None = None) -> Iterator[bytes]:
        """The bytes from `start` to `end`, in blocks. Raises InputChangedError if the object's ETag is another."""
        while start < end:
            stop = min(end, start + BLOCK_BYTES)
            with self._errors("cannot read", name):
                block = bytes(_patiently(functools.partial(self._range, name, start, stop, etag)))
            start += len(block)
            yield block

    def _range(self, name: str, start: int, stop: int, etag: str | None) -> "Bytes":
        options: GetOptions = {"range": (start, stop)}
        if etag is not None:
            options["if_match"] = etag
        try:
            return obstore.get(self._store, name, options=options).bytes()
        except GenericError:
            if self.info(name).size < stop:
                raise InputChangedError(f"{self.where(name)} has become shorter than when it was planned") from None
            raise

    def put(self, name: str, data: bytes) -> None:
        """Write an object, over an older one if there is one."""
        with self._errors("cannot write", name):
            _patiently(lambda: obstore.put(self._store, name, data, use_multipart=False))

    def create(self, name: str, data: bytes) -> bool:
        """Write an object only if there is none of that name; False if there is."""
        with self._errors("cannot write", name):
            try:
                obstore.put(self._store, name, data, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
            self._make_durable(name)
        return True

    def _make_durable(self, name: str) -> None:
        """What is said to be written outlives a crash of the machine."""
        path = self._path(name)
        for each in (path, path.parent):
            number = os.open(each, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)

    def exists(self, name: str) -> bool:
        """Whether there is an object of that name."""
        try:
            self.info(name)
        except StoreMissingError:
            return False
        return True

    def names(self, prefix: str) -> list[str]:
        """Names of all objects below a prefix, sorted."""
        with self._errors("cannot list", prefix):
            return sorted(meta["path"] for page in obstore.list(self._store, prefix) for meta in page)

    @contextlib.contextmanager
    def writer(self, name: str) -> Iterator[Write]:
        """A function that writes a new object bit by bit; the object appears when the block ends without an error."""
        with self._errors("cannot write", name):
            writer = obstore.open_writer(self._store, name, buffer_size=8 << 20)

        def write(data: bytes) -> None:
            with self._errors("cannot write", name):
                writer.write(data)

        yield write
        with self._errors("cannot write", name):
            writer.close()
            self._make_durable(name)

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects; those that are not there are passed over. Folders that are empty then go, too."""
        folders = set()
        for name in names:
            path = self._path(name)
            with self._errors("cannot remove", name):
                path.unlink(missing_ok=True)
            folders.add(path.parent)
        for folder in folders:
            self._remove_empty(folder)

    def _remove_empty(self, folder: Path) -> None:
        """A folder and those that it is in, if there is nothing in them; of a batch's own one nothing is left."""
        is_work = self._folder.parent.name == WORK_FOLDER
        top = self._folder.parent.parent if is_work else self._folder
        while folder.is_relative_to(top) and folder != top:
            try:
                folder.rmdir()
            except OSError:
                return
            folder = folder.parent

    def where(self, name: str) -> str:
        """The object as the user knows it: a path for local folders."""
        return str(self._path(name))

    def _path(self, name: str) -> Path:
        return self._folder / name

    @contextlib.contextmanager
    def _errors(self, what: str, name: str) -> Iterator[None]:
        try:
            yield
        except PreconditionError as error:
            raise InputChangedError(f"{self.where(name)} has changed since it was planned; {RESTORE}") from error
        except (BaseError, OSError, ValueError) as error:
            raise store_error(_as_system_error(error), f"{what} {self.where(name)}") from error


class LocalStores:
    """Folders only: the Stores of a local run."""

    def open(self, uri: str) -> LocalStore:
        """The folder of a file:// URI, made if it is not there."""
        return LocalStore(uri)

    def open_input(self, uri: str) -> tuple[LocalStore, str]:
        """The folder of a file, and the file's name."""
        folder, name = split_uri(uri)
        return _opened(folder), name

    def find_inputs(self, uri: str) -> Iterable[Found]:
        """The file, or those that a pattern or a folder stands for."""
        return find_files(uri)


LOCAL = LocalStores()


@functools.lru_cache(_OPENED_FOLDERS)
def _opened(folder: str) -> LocalStore:
    """A folder to read in. Of many small files, each would take longer to open than to read."""
    return LocalStore(folder, create=False)


def find_files(uri: str) -> Iterator[Found]:
    """The files that a file:// URI stands for, in the order of their names."""
    given = f"{local_path(uri)}{'/' if uri.endswith('/') else ''}"
    for name in names_of(given, Path("/")):
        uri = Path(name).as_uri()
        store, key = LOCAL.open_input(uri)
        yield Found(uri, store.info(key))


def _patiently(operation: Callable[[], T]) -> T:
    """Try again a few times when the failure may pass; a full or missing place does not."""
    with contextlib.suppress(GenericError):  # to be met again; the retrying itself takes longer than a small read
        return operation()
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_may_pass),
        wait=tenacity.wait_random_exponential(multiplier=0.1, max=2),
        stop=tenacity.stop_after_attempt(_TRIES),
        reraise=True,
    )
    return retrying(operation)


def _may_pass(error: BaseException) -> bool:
    return type(error) is GenericError and not is_lasting(error)


def _as_system_error(error: Exception) -> Exception:
    """obstore's two kinds that Python has, too."""
    if isinstance(error, NotFoundError):
        return FileNotFoundError(str(error))
    return PermissionError(str(error)) if isinstance(error, PermissionDeniedError) else error
