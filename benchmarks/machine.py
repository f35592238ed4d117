"""What a benchmark ran on, without names of machines and paths."""

import datetime
import os
import platform
import re
from pathlib import Path


def ran_on(size: str, today: datetime.date) -> str:
    """Date, sizes, Python, processor and cores in one line."""
    cores = len(os.sched_getaffinity(0))
    return f"{today.isoformat()} · {size} · Python {platform.python_version()} · {_processor()}, {cores} cores"


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else platform.machine()
