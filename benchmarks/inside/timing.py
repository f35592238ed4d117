"""Wall and CPU time of a stretch of this process."""

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Stretch:
    """Starts when made."""

    _wall: float = field(default_factory=time.perf_counter)
    _cpu: float = field(default_factory=time.process_time)

    def end(self, items: int, **more: Any) -> dict[str, Any]:
        """What the stretch took."""
        return {
            "items": items,
            "seconds": time.perf_counter() - self._wall,
            "cpu_s": time.process_time() - self._cpu,
            **more,
        }
