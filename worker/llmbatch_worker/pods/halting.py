"""SIGTERM and SIGINT, from the first moment of a process: as the first one of a pod, it would not be ended by them.

`__main__` installs it before anything large is imported. It needs no event loop, so there is no gap around one.
"""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType


class Halted(BaseException):
    """The process was told to end while nothing was to be ended in order."""


class Halt:
    """Whether the process was told to end, and who is to be told of it."""

    def __init__(self) -> None:
        self.is_asked = False
        self._tell: Callable[[], object] | None = None

    def listen(self) -> None:
        """Take the signals from now on. Main thread only."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def check(self) -> None:
        """Raise Halted if it was asked for; for long work, in case that it got lost where nothing can be raised."""
        if self.is_asked:
            raise Halted

    @contextlib.contextmanager
    def telling(self, tell: Callable[[], object]) -> Iterator[None]:
        """Within the block, call `tell` instead of raising; at once if it was asked for before."""
        self._tell = tell
        try:
            if self.is_asked:
                tell()
            yield
        finally:
            self._tell = None

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.is_asked = True
        if self._tell is None:
            raise Halted
        self._tell()
