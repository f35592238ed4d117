"""The files below a folder that a name or a pattern stands for. Used by local.py and volumes.py."""

import os
from collections.abc import Iterator
from pathlib import Path

from llmbatch_contract.errors import StoreMissingError
from llmbatch_worker.stores.local_errors import store_error
from llmbatch_worker.stores.patterns import Pattern, pattern_of


def names_of(name: str, root: Path) -> list[str]:
    """The names below a folder that a name or a pattern stands for, sorted. Raises StoreMissingError for no match."""
    pattern = pattern_of(name)
    if isinstance(pattern, str):
        return [pattern]
    if found := sorted(_files_of(pattern, root)):
        return found
    raise StoreMissingError(f"there is no file {name}")


def _files_of(pattern: Pattern, root: Path) -> Iterator[str]:
    """Links to folders are followed only where the depth is bounded: they may lead in a circle."""
    start, cut = str(root / pattern.folder.rstrip("/")), len(str(root).rstrip("/")) + 1
    if str(root) == "/":
        start, cut = pattern.folder or "/", 0
    for folder, folders, files in os.walk(start, onerror=_unlistable, followlinks=pattern.depth is not None):
        below = folder[cut:]
        yield from filter(pattern.matches, (os.path.join(below, name) for name in files))  # noqa: PTH118
        folders[:] = [name for name in folders if pattern.may_match_below(os.path.join(below, name))]  # noqa: PTH118


def _unlistable(error: OSError) -> None:
    """A folder that is not there, or went, holds nothing; one that must not be read may hold items."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise store_error(error, f"cannot list {error.filename}") from error
