"""What the operating system says of a file that cannot be read or written, as errors of ours.

Used by local.py and walking.py. What may pass is known here; local.py tries it again.
"""

import errno
import os
import re

from llmbatch_contract.errors import (
    StoreAwayError,
    StoreError,
    StoreFullError,
    StoreMissingError,
    StoreReadOnlyError,
)

_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_LASTING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR}
_AWAY = {errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOTCONN}


def is_lasting(error: BaseException) -> bool:
    """A full or missing place stays so."""
    return _errno(error) in _LASTING


def _errno(error: BaseException) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = _OS_ERROR.search(str(error))
    return int(found[1]) if found else None


def store_error(error: BaseException, what: str) -> StoreError:
    """The error that says what to do; `what` is as in `cannot read a.csv`."""
    number = _errno(error)
    if isinstance(error, FileNotFoundError):
        return StoreMissingError(f"{what}: there is no such file")
    if number in (errno.ENOSPC, errno.EDQUOT):
        return StoreFullError(f"{what}: no space left; free some and run again, what was written so far is kept")
    if number in (errno.EROFS, errno.EACCES, errno.EPERM) or isinstance(error, PermissionError):
        return StoreReadOnlyError(f"{what}: permission denied or read-only; give write access or another place")
    if number is not None and number in _AWAY:
        return StoreAwayError(f"{what}: the file server is not to be reached ({os.strerror(number)})")
    if "/#" in str(error) or isinstance(error, ValueError):
        return StoreError(f"{what}: names with control characters, or that end in # and digits, do not work; rename it")
    reason = os.strerror(number) if number else str(error).partition("\n")[0]
    return StoreError(f"{what}: {reason}")
