"""Reads a range of an object ahead of its reader: several requests at once, in order, in bounded memory. For cloud.py.

It begins small and doubles: who looks at the head of an object pays for little more. All readers of a process share
the slots, so that many open objects do not hold many times the memory; each may always fetch one block.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

FIRST_BYTES = 1 << 20
BLOCK_BYTES = 4 << 20
SLOTS = 7
"""Blocks ahead of all readers together: with the one that is being read 32 MiB, and more while they arrive."""

Fetch = Callable[[int, int], bytes]
"""The bytes from one offset to another."""


class ReadAhead:
    """Threads and slots that readers share."""

    def __init__(self, slots: int = SLOTS) -> None:
        self._slots = threading.BoundedSemaphore(slots)
        self._workers = slots
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def blocks(self, fetch: Fetch, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to `end`, in blocks."""
        first = min(end, start + FIRST_BYTES)
        if start < end:
            yield fetch(start, first)
        yield from self._further(fetch, first, end)

    def _further(self, fetch: Fetch, start: int, end: int) -> Iterator[bytes]:
        ranges = deque((at, min(end, at + BLOCK_BYTES)) for at in range(start, end, BLOCK_BYTES))
        flying: deque[Future[bytes]] = deque()
        window = 1
        try:
            while ranges or flying:
                while ranges and len(flying) < window and self._slots.acquire(blocking=False):
                    flying.append(self._begin(fetch, *ranges.popleft()))
                if not (flying and flying[0].done()):  # who reads slowly needs no more of them
                    window = min(2 * window, self._workers)
                yield self._landed(flying) if flying else fetch(*ranges.popleft())
        finally:
            for future in flying:
                future.cancel()
                self._slots.release()

    def _landed(self, flying: deque[Future[bytes]]) -> bytes:
        """The next block; its slot is free when it is handed over."""
        block = flying[0].result()
        flying.popleft()
        self._slots.release()
        return block

    def _begin(self, fetch: Fetch, start: int, end: int) -> Future[bytes]:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="read-ahead")
        return self._pool.submit(fetch, start, end)
