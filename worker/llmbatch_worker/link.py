"""How a worker talks with whoever coordinates it: reports up, replies down, shards to work on.

A local run calls the coordinator directly or through a pipe; on a cluster it is a request over HTTPS.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from llmbatch_contract.categories import Category
from llmbatch_contract.reports import LEASE_S, Command, Demand, Reply, Report, StopReason, StoreTrouble, Trouble
from llmbatch_worker.limits.gate import Gate
from llmbatch_worker.progress_keeper import ProgressKeeper
from llmbatch_worker.waiting import wait_for_event

_log = logging.getLogger(__name__)

_RETRY_S = 1.0
_LEAST_S = 0.05
"""Between reports, whatever there is to tell."""


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
        waits_for_endpoint: bool = False,
        store_trouble: Callable[[], StoreTrouble | None] = lambda: None,
    ) -> None:
        """`waiting`, `demand` and `store_trouble` go into reports.

        `on_stop` and `on_pause` are called when the worker shall do so.
        """
        self._link, self._worker = link, worker
        self._gate, self._keeper = gate, keeper
        self._waiting, self._demand, self._on_stop, self._on_pause = waiting, demand, on_stop, on_pause
        self._waits_for_endpoint, self._store_trouble = waits_for_endpoint, store_trouble
        self._is_paused = self._has_warned = False
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
            await asyncio.sleep(min(wait_s, _LEAST_S))
            await wait_for_event(self._soon, max(0.0, wait_s - _LEAST_S))
            self._soon.clear()
            wait_s = await self.talk()

    async def talk(self, *, leaving: bool = False) -> float:
        """One exchange; returns the seconds until the next."""
        report, reported_at = self._report(leaving=leaving), self._gate.now()
        self._gate.telling(report.largest_tokens)
        try:
            reply = await self._link.exchange(report)
        except ConnectionError:
            self._note_lease()
            return _RETRY_S
        self._keeper.told(report.shards)
        self._gate.push_backs.told(report.push_backs)
        self._has_warned = False
        if not leaving:
            self._gate.obey(reply, reported_at, report.largest_tokens)
            self._follow(reply.command)
        return reply.next_report_seconds

    def _report(self, *, leaving: bool) -> Report:
        gate = self._gate
        return Report(
            worker=self._worker,
            shards=self._keeper.all(),
            in_flight=gate.in_flight,
            waiting=self._waiting(),
            largest_tokens=gate.largest_tokens,
            holds=gate.grant.lapsed() if gate.lease_is_over else gate.grant,
            demand=self._demand(),
            used=gate.used,
            spent=gate.purse.spent,
            waits_for_budget=gate.waits_for_budget,
            push_backs=gate.push_backs.to_tell(gate.now()),
            trouble=self._trouble(),
            store_trouble=self._store_trouble(),
            backoff_seconds=gate.backoff_s,
            stop=self._stop,
            leaving=leaving,
        )

    def _trouble(self) -> Trouble | None:
        """An endpoint that was never reached is told of only where somebody waits for it."""
        is_told = self._waits_for_endpoint or self._gate.troubles.was_reached or self._gate.probing.is_down
        return self._gate.trouble if is_told else None

    def _note_lease(self) -> None:
        if self._gate.lease_is_over and not self._has_warned:
            _log.warning("no word from the coordinator for %.0f s: nothing is sent until there is one", LEASE_S)
            self._has_warned = True

    def _follow(self, command: Command) -> None:
        was_paused, self._is_paused = self._is_paused, command is Command.PAUSE
        self._gate.pause(self._is_paused)
        if self._is_paused and not was_paused:
            self._on_pause()
        if command is Command.STOP:
            self._on_stop()
