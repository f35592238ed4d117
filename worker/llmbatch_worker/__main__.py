"""`llmbatch-worker`: the engine as a process of its own, in a pod or started by `llmbatch run --workers N`.

Exit codes are those of llmbatch_contract.exits. Signals are listened for before anything large is imported: a pod's
first process would not even notice a SIGTERM that comes during its start.
"""

import argparse
import resource
import sys

from llmbatch_worker.pods.halting import Halt, Halted

_INTERRUPTED = 130


def main() -> None:
    """Do what the first argument says."""
    halt = Halt()
    halt.listen()
    _leave_no_core_file()
    try:
        code = _run(_parser().parse_args(), halt)
    except Halted:
        code = _INTERRUPTED
    sys.exit(code)


def _leave_no_core_file() -> None:
    """It would hold keys and prompts."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llmbatch-worker", description="Works on an LLMBatch.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for stage, what in (
        ("plan", "read and check the input, cut it into shards"),
        ("canary", "ask the first items of some shards"),
        ("shard", "work on shard number JOB_COMPLETION_INDEX"),
        ("finalize", "write the outputs"),
        ("run", "all of it, for a small batch"),
        ("clean", "remove the working objects of a batch that was deleted"),
    ):
        command = commands.add_parser(stage, help=f"in a pod: {what}")
        command.add_argument(
            "--config", required=True, metavar="FILE", help="what the operator wrote, packed with gzip"
        )
        command.add_argument("--stop", metavar="JSON", help="why the batch ended early: category and message")
    pipe = commands.add_parser("pipe", help="one worker of `llmbatch run --workers N`, spoken to over stdin and stdout")
    pipe.add_argument("--worker", required=True, help="name of this worker in reports and claims")
    pipe.add_argument("--process", required=True, metavar="ID", help="what makes this process's spans its own")
    return parser


def _run(arguments: argparse.Namespace, halt: Halt) -> int:
    from llmbatch_worker.large_blocks import give_back_large_blocks

    give_back_large_blocks()
    _import_no_command_line_of_httpx()
    if arguments.command == "pipe":
        from llmbatch_worker.piped import work_for_parent

        return work_for_parent(arguments.worker, arguments.process)
    return _run_stage(arguments, halt)


def _run_stage(arguments: argparse.Namespace, halt: Halt) -> int:
    from pathlib import Path

    from llmbatch_contract.pods import Stage
    from llmbatch_worker.pods.deadline import leave_in_time
    from llmbatch_worker.pods.running import run_stage
    from llmbatch_worker.pods.setting import read_setting

    leave_in_time(_INTERRUPTED)
    setting = read_setting(Stage(arguments.command), Path(arguments.config), arguments.stop)
    return run_stage(setting, halt)


def _import_no_command_line_of_httpx() -> None:
    """httpx passes it over when it is not to be had; with rich and click it takes a sixth of a pod's start."""
    sys.modules["httpx._main"] = None  # type: ignore[assignment]


if __name__ == "__main__":
    main()
