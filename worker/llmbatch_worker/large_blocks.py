"""Lets large blocks of memory go back to the system as soon as nobody needs them. Called once, when work begins.

Without it glibc takes blocks from its heap once one of that size has been freed, and what is free between others stays
with the process: https://man7.org/linux/man-pages/man3/mallopt.3.html.
"""

import contextlib
import ctypes

_M_MMAP_THRESHOLD = -3
_LARGE_BYTES = 256 << 10


def give_back_large_blocks() -> None:
    """From now on. Other C libraries than glibc do as they think best."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
