"""The clock of everything that waits: it goes on while the machine sleeps, and is never put back."""

import time

_BOOT = getattr(time, "CLOCK_BOOTTIME", None)


def steady_s() -> float:
    """Seconds since some moment. Where a system has no such clock, time asleep may not count."""
    return time.monotonic() if _BOOT is None else time.clock_gettime(_BOOT)
