"""SIGTERM as Ctrl-C: wherever no event loop listens for signals, both raise KeyboardInterrupt."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


def raise_on_sigterm() -> None:
    """Let SIGTERM raise KeyboardInterrupt. To be called again after an event loop had handlers of its own."""
    signal.signal(signal.SIGTERM, _interrupt)


@contextmanager
def when_interrupted(act: Callable[[], None]) -> Iterator[None]:
    """In the block, SIGINT and SIGTERM do this before they raise: threads may wait for what never comes."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        act()
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
