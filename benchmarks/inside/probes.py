"""CPU time of the engine by stage: its functions are wrapped while a benchmark runs, nothing else knows.

Times are of the thread, so what other threads do meanwhile does not count. A coroutine counts while it is being
driven, not while it waits.
"""

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from typing import Any, Self

from aiohttp.client_proto import ResponseHandler

from llmbatch_worker import feed, judging
from llmbatch_worker.asking import Asker
from llmbatch_worker.client import Client
from llmbatch_worker.limits.gate import Gate
from llmbatch_worker.recorder import Recorder
from llmbatch_worker.shardlog import ShardLog

_CALLS: tuple[tuple[Any, str, str], ...] = (
    (feed, "_read_window", "read input"),
    (feed, "open_shard", "write"),
    (Asker, "ask", "render"),
    (ResponseHandler, "data_received", "send"),
    (judging, "classify", "classify"),
    (judging, "result_record", "record"),
    (Recorder, "add", "record"),
    (ShardLog, "write_part", "write"),
    (ShardLog, "finish", "write"),
)
_COROUTINES: tuple[tuple[Any, str, str], ...] = ((Client, "send", "send"), (Gate, "admit", "gate"))


class Probes:
    """In a `with` block, every call is timed."""

    def __init__(self) -> None:
        self.cpu_s: defaultdict[str, float] = defaultdict(float)
        self._originals: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> Self:
        for owner, name, stage in _CALLS:
            self._replace(owner, name, functools.partial(self._timed, stage))
        for owner, name, stage in _COROUTINES:
            self._replace(owner, name, functools.partial(self._driven, stage))
        return self

    def __exit__(self, *_: object) -> None:
        for owner, name, original in self._originals:
            setattr(owner, name, original)

    def _replace(self, owner: Any, name: str, wrap: Callable[[Any], Any]) -> None:
        original = getattr(owner, name)
        self._originals.append((owner, name, original))
        setattr(owner, name, wrap(original))

    def _timed(self, stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.thread_time()
            try:
                return call(*args, **kwargs)
            finally:
                self.cpu_s[stage] += time.thread_time() - started

        return timed

    def _driven(self, stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        async def timed(*args: Any, **kwargs: Any) -> Any:
            return await _Driven(call(*args, **kwargs), stage, self.cpu_s)

        return timed


class _Driven:
    """Awaits a coroutine, and times each step of it."""

    def __init__(self, coroutine: Any, stage: str, cpu_s: "defaultdict[str, float]") -> None:
        self._coroutine, self._stage, self._cpu_s = coroutine, stage, cpu_s

    def __await__(self) -> Generator[Any, Any, Any]:
        step, given = self._coroutine.send, None
        while True:
            started = time.thread_time()
            try:
                waits_for = step(given)
            except StopIteration as end:
                return end.value
            finally:
                self._cpu_s[self._stage] += time.thread_time() - started
            try:
                step, given = self._coroutine.send, (yield waits_for)
            except BaseException as error:  # noqa: BLE001  # handed to the coroutine, which decides
                step, given = self._coroutine.throw, error
