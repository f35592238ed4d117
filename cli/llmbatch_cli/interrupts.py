"""SIGTERM as Ctrl-C: wherever no event loop listens for signals, both raise KeyboardInterrupt."""

import signal
from types import FrameType
from typing import NoReturn


def raise_on_sigterm() -> None:
    """Let SIGTERM raise KeyboardInterrupt. To be called again after an event loop had handlers of its own."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
