"""Warnings of telemetry, kept until the run says them: written to stderr from other threads they spoil the display."""

import logging
from collections import deque
from collections.abc import Iterator
from typing import Self

_MOST_KEPT = 20


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
