"""Runs a coroutine on a clock of its own: what it waits for happens at once, and always in the same order.

took_s, result = in_simulated_time(coroutine)

Calls in threads are made on the spot. Sockets do not work here.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.SelectSelector):
    """Where others wait for sockets, the clock is put forward."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everybody waits, and nothing will ever happen")
        self.now += max(0.0, timeout)
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop with such a clock."""

    def __init__(self) -> None:
        self._simulated = _Selector()
        super().__init__(self._simulated)

    def time(self) -> float:
        return self._simulated.now

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """Call it here and now."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  # whoever awaits it shall have it
            future.set_exception(error)
        return future


def in_simulated_time(coroutine: Coroutine[Any, Any, T]) -> tuple[float, T]:
    """Seconds that it took by its clock, and what it returned."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        result = runner.run(coroutine)
        return runner.get_loop().time(), result
