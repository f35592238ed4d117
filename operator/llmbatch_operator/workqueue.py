"""Which batches want a look, and when: each at most once in the queue, each looked at by one worker at a time."""

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable


class WorkQueue:
    """Keys to work on. The newest word about a key replaces nothing and loses nothing: work looks at what is there."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ready: dict[str, None] = {}
        self._working: set[str] = set()
        self._again: set[str] = set()
        self._later: list[tuple[float, int, str]] = []
        self._due: dict[str, float] = {}
        self._numbers = itertools.count()
        self._news = asyncio.Event()

    def add(self, key: str) -> None:
        """Look at it soon."""
        if key in self._working:
            self._again.add(key)
        else:
            self._ready[key] = None
        self._news.set()

    def add_after(self, key: str, seconds: float) -> None:
        """Look at it after a while, unless an earlier time is set already."""
        due = self._clock() + max(0.0, seconds)
        if due < self._due.get(key, float("inf")):
            self._due[key] = due
            heapq.heappush(self._later, (due, next(self._numbers), key))
            self._news.set()

    def __len__(self) -> int:
        return len(self._ready)

    async def run(self, work: Callable[[str], Awaitable[None]], workers: int) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work(work))

    async def _work(self, work: Callable[[str], Awaitable[None]]) -> None:
        while True:
            key = await self._next()
            self._working.add(key)
            try:
                await work(key)
            finally:
                self._working.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)

    async def _next(self) -> str:
        while True:
            self._move_due()
            if self._ready:
                key = next(iter(self._ready))
                del self._ready[key]
                return key
            self._news.clear()
            wait_s = self._later[0][0] - self._clock() if self._later else None
            try:
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            except TimeoutError:
                pass

    def _move_due(self) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            due, _, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
