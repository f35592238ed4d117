"""The engine as a child of `llmbatch run --workers N`: works on the shards that the parent names, over a pipe."""

import asyncio
import logging
import signal

from llmbatch_contract.errors import LLMBatchError
from llmbatch_contract.exits import Exit, exit_for
from llmbatch_contract.job import Job
from llmbatch_contract.layout import PLAN
from llmbatch_contract.plan import Plan
from llmbatch_telemetry.starting import start_telemetry
from llmbatch_worker.engine import Engine
from llmbatch_worker.observing.resources import LOCAL_SERVICE, local_resource
from llmbatch_worker.pipe import PipeLink, open_stdin, tell_error
from llmbatch_worker.stores.opening import local_stores

_CLOSE_S = 3.0
_TOLD_BY_THE_PARENT = ("llmbatch_telemetry", "llmbatch_worker.stores")
"""Loggers: it meets the same collector and hears what stores wait for, and says so where it spoils no display."""


def work_for_parent(worker: str, process: str) -> Exit:
    """Read a job from stdin and work on it; errors go to the parent. `process` makes the ids of its spans its own."""
    for name in _TOLD_BY_THE_PARENT:
        logging.getLogger(name).propagate = False
        logging.getLogger(name).addHandler(logging.NullHandler())
    try:
        return asyncio.run(_work(worker, process))
    except LLMBatchError as error:
        tell_error(error)
        return exit_for(error)


async def _work(worker: str, process: str) -> Exit:
    reader = await open_stdin()
    job = Job.load(await reader.readline())
    stores = local_stores(job.batch)
    stores.troubles.is_patient = True
    plan = Plan.load(stores.open(job.store_uri).read(PLAN))
    telemetry = start_telemetry(LOCAL_SERVICE, local_resource(job.batch.metadata, plan.uid, process))
    link = PipeLink(reader, lambda: engine.interrupt())
    engine = Engine(
        job, plan, link,
        worker=worker, stores=stores, troubles=stores.troubles, telemetry=telemetry, process=process,
    )  # fmt: skip
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, engine.interrupt)
    try:
        ended = await engine.run()
    finally:
        await asyncio.to_thread(telemetry.close, _CLOSE_S)
    return Exit.INTERRUPTED if ended.interrupted else Exit.SUCCEEDED
