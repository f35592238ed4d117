"""The `llmbatch` command. Turns errors into one sentence on stderr and an exit code; nothing else is decided here."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from llmbatch_cli.interrupts import raise_on_sigterm
from llmbatch_cli.manifest import naming_lines, read_job
from llmbatch_cli.simulator.command import simulate
from llmbatch_contract import __version__
from llmbatch_contract.errors import LLMBatchError
from llmbatch_contract.exits import Exit, exit_for
from llmbatch_contract.job import Job

app = typer.Typer(
    name="llmbatch",
    help="Ask a model about every item of a file, and lose none.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command()(simulate)

Manifest = Annotated[Path, typer.Argument(metavar="BATCH.YAML", help="The manifest of an LLMBatch.")]
State = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where to keep working files. Default: .llmbatch in the output folder, or NAME-state beside the manifest.",
    ),
]
Partial = Annotated[
    bool, typer.Option("--partial", help="While it runs: of the shards that are finished, as JSON lines.")
]
FileOrFolder = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write to a file, or into a folder: one there is, or DIR/."),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the file.")]
OutputKind = Annotated[Literal["text", "json"], typer.Option(help="How to print.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"llmbatch {__version__}")
        raise typer.Exit


@app.callback()
def llmbatch(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Ask a model about every item of a file, and lose none."""


@app.command()
def run(
    manifest: Manifest,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes to work in.")] = 1,
    state: State = None,
    output: OutputKind = "text",
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="When it is finished, write a page about it: one HTML file, to look at."),
    ] = None,
) -> None:
    """Run a batch on this machine. Run it again to continue where it stopped.

    Exit codes: 0 all items succeeded · 3 finished, some items failed · 1 stopped before the end ·
    2 manifest or input is wrong · 130 interrupted.
    """
    from llmbatch_cli.running.display import INTERRUPTED, make_display
    from llmbatch_cli.running.run import LocalRun
    from llmbatch_worker.large_blocks import give_back_large_blocks

    give_back_large_blocks()
    job = read_job(manifest, state)
    if report is not None:
        _check_report(report)
    display = make_display(output)
    try:
        with naming_lines(manifest):
            code = LocalRun(job, workers, display).run()
    except Exception:
        display.close(None)
        raise
    except KeyboardInterrupt:
        display.close(None)
        display.say(INTERRUPTED)
        code = Exit.INTERRUPTED
    if report is not None and code is not Exit.INTERRUPTED:
        _write_report(job, report)
        if output == "text":
            print(f"  report     {report}")
    raise typer.Exit(code)


@app.command()
def results(
    manifest: Manifest, partial: Partial = False, output: FileOrFolder = None, force: Force = False, state: State = None
) -> None:
    """Read the results of a batch that ran, or runs, on this machine."""
    _read("results", read_job(manifest, state), partial, output, force)


@app.command()
def errors(
    manifest: Manifest, partial: Partial = False, output: FileOrFolder = None, force: Force = False, state: State = None
) -> None:
    """Read the dead letters of a batch that ran, or runs, on this machine."""
    _read("errors", read_job(manifest, state), partial, output, force)


def _read(which: Literal["results", "errors"], job: Job, partial: bool, output: str | None, force: bool) -> None:
    from llmbatch_cli.outputs.download import deliver, deliver_output
    from llmbatch_cli.running.reading import local_output, local_partial

    def tell(text: str) -> None:
        print(text, file=sys.stderr)

    if partial:
        deliver(local_partial(job, which, tell), output, force)
    else:
        deliver_output(local_output(job, which), output, force, tell)


def _check_report(file: Path) -> None:
    from llmbatch_cli.report.local import check_place

    check_place(file)


def _write_report(job: Job, file: Path) -> None:
    from llmbatch_cli.outputs.download import to_file
    from llmbatch_cli.report.local import local_page

    to_file(iter([local_page(job).encode()]), file, force=True)


@app.command()
def plan(manifest: Manifest, output: OutputKind = "text") -> None:
    """Look before you run: items, shards, the first request, tokens and cost, problems. Sends and writes nothing."""
    from llmbatch_cli.plan_view import describe_plan, plan_report
    from llmbatch_cli.running.state import place_problem, refusing_what_is_not_there
    from llmbatch_worker.planning.planner import make_plan
    from llmbatch_worker.stores.opening import local_stores
    from llmbatch_worker.work import utc

    job = read_job(manifest)
    stores = local_stores(job.batch)
    with naming_lines(manifest), refusing_what_is_not_there():
        planned = make_plan(job.batch, None, uid="dry-run", created_at=utc(time.time()), stores=stores)
    report = plan_report(job, planned)
    report["problems"] += filter(None, [place_problem(job, stores)])
    print(json.dumps(report) if output == "json" else describe_plan(report))


def main() -> None:
    """Entry point of the console script."""
    raise_on_sigterm()
    try:
        app()
    except LLMBatchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(exit_for(error))


if __name__ == "__main__":
    main()
