"""A pod that was told to end is gone before Kubernetes kills it, whatever it waits for.

A call to a store that answers nothing, or a byte now and then, cannot be ended from Python; while it holds the main
thread not even a signal is noticed. So a thread of its own hears of signals as C does. Called by `__main__`, for stages
only: event loops that handle signals themselves would take its place. All that a pod does may end at any moment.
"""

import logging
import os
import signal
import threading
import time

_log = logging.getLogger(__name__)

LEAVES_S = 25.0
"""After the first SIGTERM; Kubernetes kills after 30 s, and counts that as a failure."""


def leave_in_time(code: int) -> None:
    """From now on, end this process with the code soon after it was told to end. Main thread only."""
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    threading.Thread(target=_leave, args=(heard, code), name="deadline", daemon=True).start()


def _leave(heard: int, code: int) -> None:
    os.read(heard, 1)
    time.sleep(LEAVES_S)
    _log.warning("told to end %.0f s ago, and something still waits; what is written down is kept", LEAVES_S)
    os._exit(code)
