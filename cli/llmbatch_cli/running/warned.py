"""Warnings of other threads, said by the run: written to stderr they spoil the display.

Those of telemetry are kept until there is a moment for them; what stores or deliveries wait for is said at once.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

_MOST_KEPT = 20
_WAITING = ("llmbatch_worker.stores", "llmbatch_worker.delivering.posting")


class KeptWarnings(logging.Handler):
    """What is wrong with the variables, or with the collector."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._kept: deque[str] = deque(maxlen=_MOST_KEPT)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self._kept.append(f"warning: {record.getMessage()}")

    def listen(self) -> Self:
        """Take over from whoever would write it down."""
        logger = logging.getLogger("llmbatch_telemetry")
        logger.handlers, logger.propagate = [self], False
        return self

    def taken(self) -> Iterator[str]:
        """Those that have come since the last time."""
        while self._kept:
            yield self._kept.popleft()


class _Said(logging.Handler):
    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())


@contextmanager
def saying_what_is_waited_for(say: Callable[[str], None]) -> Iterator[None]:
    """In the block, `say` hears it: now and then, from any thread."""
    loggers = [logging.getLogger(name) for name in _WAITING]
    before = [(each.handlers, each.propagate) for each in loggers]
    for each in loggers:
        each.handlers, each.propagate = [_Said(say)], False
    try:
        yield
    finally:
        for each, (handlers, propagate) in zip(loggers, before, strict=True):
            each.handlers, each.propagate = handlers, propagate
