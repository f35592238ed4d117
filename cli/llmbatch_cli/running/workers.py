"""Runs workers until the shards are done: one in this process, or several in processes of their own.

Parent and child speak JSON lines over the child's stdin and stdout (llmbatch_worker/pipe.py is the other end).
"""

import asyncio
import signal
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from llmbatch_cli.running.links import DirectLink, ShardQueue, StoreWaits
from llmbatch_cli.running.telling import LostWorker
from llmbatch_contract import errors
from llmbatch_contract.coordination import Coordinator
from llmbatch_contract.errors import LLMBatchError, WorkerLostError
from llmbatch_contract.exits import Exit
from llmbatch_contract.job import Job
from llmbatch_contract.plan import Plan
from llmbatch_contract.reports import Report
from llmbatch_telemetry.telemetry import Telemetry
from llmbatch_worker.engine import Engine
from llmbatch_worker.stores.opening import OpenStores

_MOST_DEATHS = 3
_LINE_LIMIT = 64 << 20
_END_S = 10.0


@dataclass
class LocalWorker:
    """The engine in this process."""

    job: Job
    plan: Plan
    coordinator: Coordinator
    queue: ShardQueue
    waits: StoreWaits
    stores: OpenStores
    telemetry: Telemetry
    process: str
    """What makes its spans its own."""
    _engine: Engine | None = None

    async def run(self) -> None:
        """Work until done, stopped or interrupted."""
        link = DirectLink(self.coordinator, self.queue, self.waits, "local-0")
        self._engine = Engine(
            self.job, self.plan, link,
            worker="local-0", stores=self.stores, troubles=self.stores.troubles,
            telemetry=self.telemetry, process=self.process,
        )  # fmt: skip
        await self._engine.run()

    def interrupt(self) -> None:
        """Stop at once."""
        if self._engine is not None:
            self._engine.interrupt()


@dataclass
class WorkerProcesses:
    """Engines in processes of their own. One that dies is started again, and its shards go on."""

    job: Job
    coordinator: Coordinator
    queue: ShardQueue
    waits: StoreWaits
    count: int
    on_killed: Callable[[LostWorker], None]
    _processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    _is_interrupted: bool = False
    _deaths: int = 0

    async def run(self) -> None:
        """Work until done, stopped or interrupted. Raises what a worker raised, or WorkerLostError."""
        tasks = [asyncio.create_task(self._keep_one(f"local-{n}")) for n in range(self.count)]
        try:
            await asyncio.gather(*tasks)
        finally:
            self.interrupt()
            await asyncio.gather(*tasks, return_exceptions=True)

    def interrupt(self) -> None:
        """Tell all workers to stop at once."""
        self._is_interrupted = True
        for process in self._processes.values():
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)

    async def _keep_one(self, worker: str) -> None:
        while not self._is_interrupted:
            process = f"{worker}-{uuid.uuid4()}"
            code = await self._run_one(worker, process)
            self.coordinator.lost(worker, time.monotonic())
            self.waits.lost(worker)
            left = self.queue.lost(worker, self.coordinator)
            if self._is_interrupted:  # told while it starts, it has no exit code yet
                return
            if code < 0:
                self.on_killed(LostWorker(process, left, -code))
            if code in (Exit.SUCCEEDED, Exit.INTERRUPTED) and (self.queue.is_empty or self.coordinator.stop):
                return
            if code not in (Exit.SUCCEEDED, Exit.INTERRUPTED):
                self._deaths += 1
            if self._deaths > _MOST_DEATHS:
                raise WorkerLostError(
                    f"worker processes died {self._deaths} times (the last with exit code {code}); is memory short? "
                    "Run the same command again to go on"
                )

    async def _run_one(self, worker: str, name: str) -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "llmbatch_worker", "pipe", "--worker", worker, "--process", name,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LINE_LIMIT, cwd=Path.cwd(),
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        self._processes[worker] = process
        try:
            process.stdin.write(self.job.dump_json() + b"\n")
            async for line in process.stdout:
                if not line.endswith(b"\n"):  # it died in the middle of it
                    break
                answer = self._answer(worker, orjson.loads(line))
                process.stdin.write(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))
            return await process.wait()
        except (BrokenPipeError, ConnectionResetError):
            return await process.wait()
        finally:
            await _end(process)

    def _answer(self, worker: str, message: dict[str, Any]) -> dict[str, Any]:
        match message:
            case {"report": said}:
                report = Report.model_validate(said)
                self.waits.note(report)
                return {"reply": self.coordinator.reply(report, time.monotonic()).dump()}
            case {"next": _}:
                stopped = self._is_interrupted or self.coordinator.stop is not None
                return {"shard": None if stopped else self.queue.take(worker)}
            case {"error": text, "kind": kind}:
                raise _error_named(kind)(text)
        raise LLMBatchError(f"a worker said something unknown: {list(message)}")  # pragma: no cover


async def _end(process: asyncio.subprocess.Process) -> None:
    """See a process to its end; one that does not go is killed."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _error_named(kind: str) -> type[LLMBatchError]:
    found = getattr(errors, kind, LLMBatchError)
    return found if isinstance(found, type) and issubclass(found, LLMBatchError) else LLMBatchError
