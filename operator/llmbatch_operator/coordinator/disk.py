"""Objects as files of a volume. Blocking: `objects` calls it in threads, nobody else does.

batches/<uid>/<area>/<name>    the objects
incoming/                      what is being written or removed; emptied at the start

An object appears with a link or a rename, so it is there whole or not at all; before that it is on the disk.
"""

import contextlib
import errno
import os
import secrets
import shutil
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llmbatch_contract.errors import StoreError, StoreFullError, StoreMissingError, StoreReadOnlyError
from llmbatch_operator.coordinator.names import Area, BadNameError, ObjectExistsError, ObjectKey, is_object_name

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_SYNC_BYTES = 8 << 20
"""No more of an object waits to get to the disk: else who sent it would wait too long for the answer."""
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(frozen=True)
class OpenFile:
    """An object that is being read; the file stays the same when the object is overwritten or removed."""

    number: int
    size: int
    etag: str

    def read(self, start: int, end: int) -> bytes:
        """Exactly these bytes."""
        with _errors("cannot read an object of the built-in store"):
            data = os.pread(self.number, end - start, start)
        if len(data) < end - start:
            raise StoreError("an object of the built-in store has become shorter while it was read")
        return data

    def close(self) -> None:
        """Always call it."""
        os.close(self.number)


class Disk:
    """The folder of a volume."""

    def __init__(self, folder: Path) -> None:
        self._batches = folder / "batches"
        self._incoming = folder / "incoming"
        # From looking at the object to replacing it: its size must be taken off once.
        self._replacing = threading.Lock()

    def prepare(self) -> None:
        """Make the folders, remove what was left half done. Raises StoreError if the volume is of no use."""
        with _errors(f"cannot use the folder {self._batches.parent} for the built-in store"):
            shutil.rmtree(self._incoming, ignore_errors=True)
            self._incoming.mkdir(parents=True, exist_ok=True)
            self._batches.mkdir(exist_ok=True)
            self._try_out()

    def _try_out(self) -> None:
        """Some network file systems have no hard links, which make sure that only one of two writers wins."""
        first, second = self._temporary(), self._temporary()
        first.touch()
        try:
            second.hardlink_to(first)
            second.unlink()
        except OSError as error:
            text = f"the file system of {self._batches.parent} has no hard links; use another kind of volume"
            raise StoreError(f"{text} ({error.strerror})") from error
        finally:
            first.unlink()

    def batches(self) -> list[str]:
        """Uids of the batches that have a folder."""
        with _errors("cannot list the batches of the built-in store"):
            return sorted(folder.name for folder in self._batches.iterdir())

    def sizes(self, uid: str) -> dict[Area, int]:
        """Bytes of a batch's areas."""
        with _errors(f"cannot read the size of batch {uid}"):
            return {area: sum(f.stat().st_size for f in _files(self._batches / uid / area)) for area in Area}

    def open(self, key: ObjectKey) -> OpenFile:
        """Open an object to read it. Raises StoreMissingError."""
        missing = StoreMissingError(f"cannot read {key}: there is no such object")
        with _errors(f"cannot read {key}"):
            try:
                number = os.open(self._path(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except NotADirectoryError:
                raise missing from None
            facts = os.fstat(number)
            if not stat.S_ISREG(facts.st_mode):
                os.close(number)
                raise missing
        return OpenFile(number, facts.st_size, f"{facts.st_ino:x}-{facts.st_mtime_ns:x}-{facts.st_size:x}")

    def exists(self, key: ObjectKey) -> bool:
        """Whether there is such an object."""
        return self._path(key).is_file()

    def names(self, folder: ObjectKey) -> list[str]:
        """Names of the objects in a folder and below, sorted."""
        with _errors(f"cannot list {folder}"):
            area = len(str(self._batches / folder.batch_uid / folder.area)) + 1
            return sorted(file.path[area:] for file in _files(self._path(folder)))

    def incoming(self) -> "Incoming":
        """A new object, yet without a name."""
        return Incoming(self._temporary())

    def publish(self, incoming: "Incoming", key: ObjectKey, *, only_create: bool) -> int:
        """Give a new object its name; the size of the one it replaces. Raises ObjectExistsError."""
        with _errors(f"cannot write {key}"):
            incoming.finish()
            try:
                return self._name(incoming.path, key, only_create=only_create)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                text = f"cannot write {key}: one name cannot be both an object's and a folder's"
                raise BadNameError(text) from None

    def _name(self, new: Path, key: ObjectKey, *, only_create: bool) -> int:
        path = self._path(key)
        _make_folders(path.parent)
        replaced = self._link(new, path, key) if only_create else self._replace(new, path)
        _sync(path.parent)
        return replaced

    def _link(self, new: Path, path: Path, key: ObjectKey) -> int:
        try:
            path.hardlink_to(new)
        except FileExistsError:
            if path.is_dir():
                raise
            raise ObjectExistsError(f"{key} is there already") from None
        new.unlink()
        return 0

    def _replace(self, new: Path, path: Path) -> int:
        with self._replacing:
            replaced = path.stat().st_size if path.is_file() else 0
            new.replace(path)
        return replaced

    def remove(self, uid: str, area: Area | None = None) -> None:
        """Remove a batch's objects, or those of one area; at once for readers of names, then from the disk."""
        doomed = self._temporary()
        with _errors(f"cannot remove batch {uid}"):
            try:
                (self._batches / uid / (area or "")).rename(doomed)
            except FileNotFoundError:
                return
            shutil.rmtree(doomed)

    def _path(self, key: ObjectKey) -> Path:
        return self._batches / key.path

    def _temporary(self) -> Path:
        return self._incoming / secrets.token_hex(12)


class Incoming:
    """A new object on its way to the disk. One thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last: bytes | bytearray = b""
        """What `finish` writes: a small object costs one turn in a thread."""
        self._number: int | None = None
        self._unsynced = 0

    def write(self, data: bytes | bytearray) -> None:
        """More of it."""
        with _errors("cannot write to the built-in store"):
            if self._number is None:
                self._number = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._number, rest) :]
            self._unsynced += len(data)
            if self._unsynced >= _SYNC_BYTES:
                os.fdatasync(self._number)
                self._unsynced = 0

    def finish(self) -> None:
        """All of it is on the disk."""
        self.write(self.last)
        if self._number is not None:
            os.fsync(self._number)
        self._close()

    def discard(self) -> None:
        """Nothing of it is left."""
        self._close()
        self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        number, self._number = self._number, None
        if number is not None:
            os.close(number)


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Files in a folder and below; one that is removed meanwhile may be left out."""
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif entry.is_file(follow_symlinks=False) and is_object_name(entry.name):
            yield entry


def _make_folders(folder: Path) -> None:
    """With their names on the disk."""
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextlib.contextmanager
def _errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _store_error(error, what) from error


def _store_error(error: OSError, what: str) -> StoreError:
    if isinstance(error, FileNotFoundError):
        return StoreMissingError(f"{what}: there is no such object")
    if error.errno in _NO_SPACE:
        return StoreFullError(
            f"{what}: the volume of the built-in store is full; delete batches that are no longer needed or make the "
            "volume larger, the batch goes on by itself"
        )
    if error.errno in _READ_ONLY:
        return StoreReadOnlyError(f"{what}: permission denied or read-only; make the store's volume writable")
    return StoreError(f"{what}: {error.strerror}")
