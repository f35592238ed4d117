"""The stages of a local run, one after another: plan, shards, finalize. Called by `llmbatch run`."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llmbatch_cli.interrupts import raise_on_sigterm, when_interrupted
from llmbatch_cli.running.display import Display
from llmbatch_cli.running.links import ShardQueue, StoreWaits
from llmbatch_cli.running.signing import check_signing_key, signing_key
from llmbatch_cli.running.snapshot import Snapshot, snapshot
from llmbatch_cli.running.spending import Spending
from llmbatch_cli.running.state import finished_summary, forget_finished, plan_or_continue
from llmbatch_cli.running.telling import Telling, exports_spans, start_telling
from llmbatch_cli.running.warned import saying_what_is_waited_for
from llmbatch_cli.running.workers import LocalWorker, WorkerProcesses
from llmbatch_cli.trace_links import VARIABLE, Traced, check_template, trace_link
from llmbatch_contract.coordination import Coordinator
from llmbatch_contract.exits import Exit
from llmbatch_contract.job import Job
from llmbatch_contract.pace import Speedometer
from llmbatch_contract.plan import Plan
from llmbatch_contract.progress import BatchProgress
from llmbatch_contract.sharing import EndpointShares
from llmbatch_contract.spec import LLMBatchSpec
from llmbatch_worker.client import check_api_key
from llmbatch_worker.finalizing.delivery import Way
from llmbatch_worker.finalizing.finalizer import finalize
from llmbatch_worker.planning.planner import Planned
from llmbatch_worker.stores.opening import local_stores
from llmbatch_worker.work import utc

_SHOW_EVERY_S = 0.5
_REPORT_EVERY_S = 0.5
_EXITS = {
    "Succeeded": Exit.SUCCEEDED,
    "CompletedWithErrors": Exit.COMPLETED_WITH_ERRORS,
    "Failed": Exit.FAILED,
    "Cancelled": Exit.FAILED,
}


@dataclass
class LocalRun:
    """One `llmbatch run`. Raises LLMBatchError, and KeyboardInterrupt when interrupted."""

    job: Job
    workers: int
    display: Display

    def __post_init__(self) -> None:
        self._stores = local_stores(self.job.batch)

    def run(self) -> Exit:
        """All stages that are left to do."""
        with saying_what_is_waited_for(self.display.say):
            return self._run()

    def _run(self) -> Exit:
        check_template(_trace_url())
        if forget_finished(self.job, self._stores):
            self.display.say("an earlier run with another question is finished; its outputs will be replaced")
        if (finished := finished_summary(self.job, self._stores)) is not None:
            self.display.say("this batch is finished; give another output.uri to run it again")
            self.display.close(finished, self._trace(finished["trace_id"] if exports_spans() else None))
            return _EXITS[finished["phase"]]
        check_api_key(self.job.batch.spec.endpoint)
        check_signing_key(self.job.batch.spec)
        _tell_what_is_for_clusters(self.job.batch.spec, self.display)
        plan, is_new = self._plan()
        self._stores.troubles.is_patient = True  # from now on there is something to lose
        planned_at = time.time()
        telling = start_telling(self.job, plan)
        if is_new:
            telling.planned(planned_at)
        try:
            with telling.closing():
                summary = self._to_the_end(plan, telling)
        finally:
            self._warn(telling)
        if summary is None:
            return Exit.INTERRUPTED
        self.display.close(summary, self._trace(telling.trace_id))
        return _EXITS[summary["phase"]]

    def _to_the_end(self, plan: Plan, telling: Telling) -> dict[str, Any] | None:
        """Work on the shards and write the outputs; the summary, or None if the budget is spent before."""
        spending = Spending(self.job, plan)
        coordinator = self._coordinator(plan, spending)
        interrupted = asyncio.run(self._run_shards(plan, coordinator, spending, telling))
        raise_on_sigterm()
        if interrupted:
            raise KeyboardInterrupt
        if coordinator.stop is None and coordinator.progress.shards_done < len(plan.shards):
            self.display.close(None)
            self.display.say(spending.sentence(coordinator))
            return None
        return self._finalize(plan, coordinator, telling)

    def _coordinator(self, plan: Plan, spending: Spending) -> Coordinator:
        spec = self.job.batch.spec
        return Coordinator(
            spec.failure_policy,
            BatchProgress(plan.items, len(plan.shards)),
            EndpointShares(spec.endpoint.limits, time.monotonic()),
            namespace=self.job.batch.metadata.namespace,
            batch=plan.uid,
            budget=spec.budget,
            pricing=spec.endpoint.pricing,
            report_every_s=_REPORT_EVERY_S,
            spent_before=spending.before(),
        )

    def _plan(self) -> tuple[Plan, bool]:
        """The plan, and whether it was made just now."""
        plan, planned = plan_or_continue(
            self.job,
            self._stores,
            self.workers,
            os.environ.get("TRACEPARENT"),
            lambda items: self.display.update(Snapshot("planning", 0, succeeded=items)),
        )
        if planned is None:
            self.display.say(f"continuing the run of {plan.created_at}: {plan.items:,} items")
        else:
            self.display.say(f"planned {plan.items:,} items in {len(plan.shards):,} shards")
            _warn_of_misfits(planned, self.display)
        return plan, planned is not None

    async def _run_shards(self, plan: Plan, coordinator: Coordinator, spending: Spending, telling: Telling) -> bool:
        """Work on all shards; True if it was interrupted."""
        queue, waits = ShardQueue(range(len(plan.shards))), StoreWaits()
        workers: LocalWorker | WorkerProcesses = (
            LocalWorker(self.job, plan, coordinator, queue, waits, self._stores, telling.telemetry, telling.process)
            if self.workers == 1
            else WorkerProcesses(self.job, coordinator, queue, waits, self.workers, telling.lost)
        )
        interrupted = asyncio.Event()

        def on_signal() -> None:
            interrupted.set()
            workers.interrupt()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal)
        showing = asyncio.create_task(self._show(coordinator, waits, telling))
        watching = asyncio.create_task(_watch_budget(coordinator, spending, workers.interrupt))
        try:
            await workers.run()
        finally:
            for task in (showing, watching):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            spending.keep(coordinator)
        self._show_once(coordinator, waits, telling, Speedometer())
        return interrupted.is_set()

    async def _show(self, coordinator: Coordinator, waits: StoreWaits, telling: Telling) -> None:
        speed = Speedometer()
        while True:
            self._show_once(coordinator, waits, telling, speed)
            await asyncio.sleep(_SHOW_EVERY_S)

    def _show_once(self, coordinator: Coordinator, waits: StoreWaits, telling: Telling, speed: Speedometer) -> None:
        telling.runs(coordinator, speed)
        self._warn(telling)
        self.display.update(
            snapshot(
                coordinator,
                waits.longest,
                pricing=self.job.batch.spec.endpoint.pricing,
                speed=speed,
                now=time.monotonic(),
            )
        )

    def _finalize(self, plan: Plan, coordinator: Coordinator, telling: Telling) -> dict[str, Any]:
        started = time.time()

        def on_items(items: int) -> None:
            self.display.update(Snapshot("finalizing", plan.items, succeeded=items))

        way = Way(signing_key(), lambda: self.display.update(Snapshot("delivering", plan.items)))
        try:
            with when_interrupted(lambda: self._stores.troubles.end_in(0)):
                summary = finalize(
                    self.job, plan,
                    stop=coordinator.stop, now=utc(started), stores=self._stores, on_items=on_items, delivery=way,
                )  # fmt: skip
        except Exception as error:
            telling.failed_to_finalize(started, error)
            raise
        telling.finalized(started, summary)
        return summary

    def _warn(self, telling: Telling) -> None:
        for warning in telling.warnings.taken():
            self.display.say(warning)

    def _trace(self, trace_id: str | None) -> str:
        """Where the trace is, if there is one: a link, where a template makes one."""
        if trace_id is None:
            return ""
        batch = self.job.batch.metadata
        return trace_link(_trace_url(), Traced(trace_id, batch.namespace, batch.name)) if _trace_url() else trace_id


async def _watch_budget(coordinator: Coordinator, spending: Spending, end: Callable[[], None]) -> None:
    """Keep what is spent, and end the workers when nothing is left for them: the batch can go on another day."""
    if coordinator.budget is None:
        return
    while not (coordinator.budget_is_spent and coordinator.budget_holds_back):
        spending.keep(coordinator)
        await asyncio.sleep(_REPORT_EVERY_S)
    end()


def _tell_what_is_for_clusters(spec: LLMBatchSpec, display: Display) -> None:
    given = [f"spec.{name}" for name in ("canary", "window", "alerts", "notify") if name in spec.model_fields_set]
    for name, user in (("input", spec.input), ("output", spec.output)):
        given += [f"spec.{name}.credentialsSecret"] * (user.credentials_secret is not None)
        is_given = user.store is not None and user.store.ca_config_map is not None
        given += [f"spec.{name}.store.caConfigMap"] * is_given
    if given:
        display.say(f"passed over, for they work on a cluster only: {', '.join(given)}")


def _trace_url() -> str:
    return os.environ.get(VARIABLE, "")


def _warn_of_misfits(planned: Planned, display: Display) -> None:
    if planned.misfits:
        display.say(
            f"warning: the templates do not fit {planned.misfits:,} items or more, which will be in errors.jsonl as "
            f"template_error; the first: {planned.first_misfit}"
        )
