"""How a worker talks with whoever coordinates it: reports up, replies down, shards to work on.

A local run calls the coordinator directly or through a pipe; on a cluster it is a request over HTTPS.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from llmbatch_contract.categories import Category
from llmbatch_contract.reports import Command, Demand, Reply, Report, StopReason
from llmbatch_worker.limits.gate import Gate
from llmbatch_worker.progress_keeper import ProgressKeeper
from llmbatch_worker.waiting import wait_for_event

_RETRY_S = 1.0


class Link(Protocol):
    """A way to the coordinator."""

    async def exchange(self, report: Report) -> Reply:
        """Send a report and wait for the reply. Raises ConnectionError when the coordinator is not to be reached."""

    async def next_shard(self) -> int | None:
        """A shard to work on; None when there are no more."""


class Conversation:
    """Reports every second or so, and does as it is told."""

    def __init__(
        self,
        link: Link,
        worker: str,
        gate: Gate,
        keeper: ProgressKeeper,
        waiting: Callable[[], dict[Category, int]],
        demand: Callable[[], Demand],
        on_stop: Callable[[], None],
        on_pause: Callable[[], None] = lambda: None,
    ) -> None:
        """`waiting` and `demand` go into reports; `on_stop` and `on_pause` are called when the worker shall do so."""
        self._link, self._worker = link, worker
        self._gate, self._keeper = gate, keeper
        self._waiting, self._demand, self._on_stop, self._on_pause = waiting, demand, on_stop, on_pause
        self._is_paused = False
        self._holds = 0
        self._soon = asyncio.Event()
        self._stop: StopReason | None = None

    def report_stop(self, reason: StopReason) -> None:
        """Tell, without waiting for the next report's time, of a failure on which the batch shall stop."""
        self._stop = reason
        self.report_soon()

    def report_soon(self) -> None:
        """There is something that should not wait for the next report's time."""
        self._soon.set()

    async def run(self) -> None:
        """Talk until cancelled. The first reply opens the gate; a coordinator that is away changes nothing."""
        wait_s = await self.talk()
        while True:
            await wait_for_event(self._soon, wait_s)
            self._soon.clear()
            wait_s = await self.talk()

    async def talk(self, *, leaving: bool = False) -> float:
        """One exchange; returns the seconds until the next."""
        shards = self._keeper.all()
        report = Report(
            worker=self._worker,
            shards=shards,
            in_flight=self._gate.in_flight,
            waiting=self._waiting(),
            largest_tokens=self._gate.largest_tokens,
            holds=self._holds,
            demand=self._demand(),
            backoff_seconds=self._gate.backoff_s,
            stop=self._stop,
            leaving=leaving,
        )
        try:
            reply = await self._link.exchange(report)
        except ConnectionError:
            return _RETRY_S
        self._keeper.told(shards)
        if not leaving:
            self._obey(reply)
        return reply.next_report_seconds

    def _obey(self, reply: Reply) -> None:
        self._gate.use(reply.grant)
        self._holds = reply.grant.number
        self._gate.close_for(reply.backoff_seconds)
        was_paused, self._is_paused = self._is_paused, reply.command is Command.PAUSE
        self._gate.pause(self._is_paused)
        if self._is_paused and not was_paused:
            self._on_pause()
        if reply.command is Command.STOP:
            self._on_stop()
