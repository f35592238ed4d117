"""Gathers the next shards in threads while one is written, so that a store far away is not waited for shard by shard.

How many are gathered ahead depends on how large they are: together they hold little.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from llmbatch_contract.plan import Shard
from llmbatch_worker.finalizing.gathering import Gathered

MOST_AHEAD = 8
AHEAD_BYTES = 8 << 20


def gathered_ahead(gather: Callable[[Shard], Gathered], shards: Iterable[Shard]) -> Iterator[Gathered]:
    """Each shard, gathered, in order. Raises what `gather` raises."""
    left, waiting, largest = iter(shards), deque[Future[Gathered]](), 0
    pool = ThreadPoolExecutor(MOST_AHEAD, thread_name_prefix="gather")
    try:
        while True:
            ahead = min(MOST_AHEAD, max(1, AHEAD_BYTES // largest)) if largest else 1
            while len(waiting) <= ahead and (shard := next(left, None)) is not None:
                waiting.append(pool.submit(gather, shard))
            if not waiting:
                return
            gathered = waiting.popleft().result()
            largest = max(largest, gathered.lines.size)
            with contextlib.closing(gathered):
                yield gathered
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown()
        for future in waiting:
            if not future.cancelled() and future.exception() is None:
                future.result().close()
