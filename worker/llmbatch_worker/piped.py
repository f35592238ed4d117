"""The engine as a child of `llmbatch run --workers N`: works on the shards that the parent names, over a pipe."""

import asyncio
import signal

from llmbatch_contract.errors import LLMBatchError
from llmbatch_contract.exits import Exit, exit_for
from llmbatch_contract.job import Job
from llmbatch_contract.layout import PLAN
from llmbatch_contract.plan import Plan
from llmbatch_worker.engine import Engine
from llmbatch_worker.pipe import PipeLink, open_stdin, tell_error
from llmbatch_worker.stores.local import LOCAL


def work_for_parent(worker: str) -> Exit:
    """Read a job from stdin and work on it; errors go to the parent."""
    try:
        return asyncio.run(_work(worker))
    except LLMBatchError as error:
        tell_error(error)
        return exit_for(error)


async def _work(worker: str) -> Exit:
    reader = await open_stdin()
    job = Job.load(await reader.readline())
    plan = Plan.load(LOCAL.open(job.store_uri).read(PLAN))
    engine = Engine(job, plan, PipeLink(reader, lambda: engine.interrupt()), worker=worker)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, engine.interrupt)
    ended = await engine.run()
    return Exit.INTERRUPTED if ended.interrupted else Exit.SUCCEEDED
