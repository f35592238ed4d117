"""How long to wait for what is away: for ever, until somebody says that there is an end. Used by the channel."""

import threading
import time


class Patience:
    """Sleeps between tries; `end_in` may come from any thread, also from a signal handler's callback."""

    def __init__(self) -> None:
        self._until = float("inf")
        self._changed = threading.Event()

    @property
    def left_s(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._until - time.monotonic())

    @property
    def is_over(self) -> bool:
        """There is no time for another try."""
        return self.left_s == 0.0

    def end_in(self, seconds: float) -> None:
        """Give up in so many seconds; an earlier end stays."""
        self._until = min(self._until, time.monotonic() + seconds)
        self._changed.set()

    def sleep(self, seconds: float) -> None:
        """Wait before the next try, no longer than there is patience."""
        if not self._changed.is_set():
            self._changed.wait(seconds)
        else:
            time.sleep(min(seconds, self.left_s))
