"""An event loop whose clock jumps to what happens next, so that minutes take seconds. For code that only waits."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_LOOK_S = 1e-6
"""What a look at what is to be done takes: who waits for less than a float can tell would wait for ever."""


class _Clock(selectors.SelectSelector):
    """What the loop waits with: in place of waiting, time goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Nothing happens from outside but signals."""
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everybody waits, and nothing will come")
        self.now += max(_LOOK_S, timeout or 0.0) if not ready else _LOOK_S
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Its time begins at 0."""

    def __init__(self) -> None:
        self._simulated = _Clock()
        super().__init__(self._simulated)

    def time(self) -> float:
        """Simulated seconds."""
        return self._simulated.now


def run_simulated(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, as if it had taken as long as it thinks."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(work)
