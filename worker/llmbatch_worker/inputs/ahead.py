"""Does things a little ahead of who takes them, in threads, in order: an object far away should not be waited for."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_THREADS = 16
_MOST_THINGS = 64

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    things: Iterable[T], do: Callable[[T], R], size: Callable[[T], int], *, most_bytes: int = 16 << 20
) -> Generator[R]:
    """What `do` makes of each thing; ahead are at most 64 of them, and `most_bytes` by their `size`."""
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="ahead")
    waiting: deque[tuple[Future[R], int]] = deque()
    ahead_bytes = 0
    try:
        for thing in things:
            needs = size(thing)
            while waiting and (ahead_bytes + needs > most_bytes or len(waiting) >= _MOST_THINGS):
                future, freed = waiting.popleft()
                yield future.result()
                ahead_bytes -= freed
            waiting.append((pool.submit(do, thing), needs))
            ahead_bytes += needs
        while waiting:
            yield waiting.popleft()[0].result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
