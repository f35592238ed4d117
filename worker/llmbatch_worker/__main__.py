"""`llmbatch-worker`: the engine as a process of its own, started by `llmbatch run --workers N`.

Exit codes are those of llmbatch_contract.exits.
"""

import argparse
import asyncio
import signal
import sys

from llmbatch_contract.errors import LLMBatchError
from llmbatch_contract.exits import Exit, exit_for
from llmbatch_contract.job import Job
from llmbatch_contract.layout import PLAN
from llmbatch_contract.plan import Plan
from llmbatch_worker.engine import Engine
from llmbatch_worker.pipe import PipeLink, open_stdin, tell_error
from llmbatch_worker.store import Store


async def _work(worker: str) -> Exit:
    reader = await open_stdin()
    job = Job.load(await reader.readline())
    plan = Plan.load(Store(job.store_uri).read(PLAN))
    engine = Engine(job, plan, PipeLink(reader, lambda: engine.interrupt()), worker=worker)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, engine.interrupt)
    ended = await engine.run()
    return Exit.INTERRUPTED if ended.interrupted else Exit.SUCCEEDED


def main() -> None:
    """Read a job from stdin and work on the shards that the parent names."""
    parser = argparse.ArgumentParser(prog="llmbatch-worker", description="One worker of `llmbatch run --workers N`.")
    parser.add_argument("--worker", required=True, help="name of this worker in reports and claims")
    worker = parser.parse_args().worker
    try:
        code = asyncio.run(_work(worker))
    except LLMBatchError as error:
        tell_error(error)
        code = exit_for(error)
    sys.exit(code)


if __name__ == "__main__":
    main()
