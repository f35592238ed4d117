"""The commands of `kubectl llmbatch`. Each reads, says and writes by the modules beside; errors become one sentence.

kubectl finds this as `kubectl-llmbatch` on the PATH.
"""

import json
import os
import sys
import time
from typing import Annotated, Literal

import typer

from llmbatch_cli.interrupts import raise_on_sigterm
from llmbatch_cli.kubectl.batches import Batch, has_own_form, read_batch
from llmbatch_cli.kubectl.changes import CANCEL, RESUME, SUSPEND, approve, change
from llmbatch_cli.kubectl.kubectl import BATCHES, Kubectl
from llmbatch_cli.kubectl.options import Context, Kubeconfig, Namespace, on_cluster
from llmbatch_cli.kubectl.results import Reader
from llmbatch_cli.kubectl.retrying import retry_batch
from llmbatch_cli.kubectl.screen import now, show, tell, watch_view
from llmbatch_cli.kubectl.status_view import page, table
from llmbatch_cli.kubectl.traces import traces_of
from llmbatch_cli.kubectl.watching import get_batch, until
from llmbatch_cli.outputs.download import deliver, deliver_output, of_categories
from llmbatch_cli.outputs.packed import unpacked_blocks
from llmbatch_cli.trace_links import VARIABLE, ListedTraceUrl, TraceUrl
from llmbatch_contract import __version__
from llmbatch_contract.categories import Category
from llmbatch_contract.errors import InvalidError, LLMBatchError
from llmbatch_contract.exits import Exit, exit_for
from llmbatch_contract.wire import BATCH_LABEL

app = typer.Typer(
    name="kubectl llmbatch",
    help="Look after batches of LLM requests on a cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the batch.")]
File = Annotated[str | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file, not to stdout.")]
FileOrFolder = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write to a file, or into a folder: one there is, or DIR/."),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the file.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it has come about.")]
Categories = Annotated[
    list[Category] | None,
    typer.Option("--category", metavar="CATEGORY", help="Only items that failed for this reason. Repeatable."),
]
OperatorNamespace = Annotated[
    str,
    typer.Option(
        "--operator-namespace", metavar="NAME", envvar="LLMBATCH_OPERATOR_NAMESPACE", help="Where the operator runs."
    ),
]
StoreEndpoint = Annotated[
    str,
    typer.Option(
        "--store-endpoint",
        metavar="URL",
        envvar="LLMBATCH_STORE_ENDPOINT",
        help="Outputs elsewhere: address of their store, where you reach it by another than pods do.",
    ),
]
Partial = Annotated[
    bool, typer.Option("--partial", help="While it runs: of the shards that are finished, as JSON lines.")
]
_OPERATOR_NAMESPACE = "llmbatch-system"
_LOGS_AT_ONCE = 50


@app.callback()
def llmbatch(
    ctx: typer.Context,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Look after batches of LLM requests on a cluster."""
    ctx.obj = {"namespace": namespace, "context": context, "kubeconfig": kubeconfig}


@app.command()
@on_cluster
def status(
    kubectl: Kubectl,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Name of a batch. Without: all.")] = None,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Batches of all namespaces.")] = False,
    output: Annotated[
        Literal["text", "json"], typer.Option("--output", "-o", help="json: as the API server has it.")
    ] = "text",
    trace_url: TraceUrl = "",
) -> None:
    """Show one batch in full, or all in a table."""
    if name is not None and all_namespaces:
        raise InvalidError("--all-namespaces is for all batches; give no name with it")
    document = kubectl.json("get", BATCHES, *([name] if name else []), *(["-A"] if all_namespaces else []))
    if output == "json":
        print(json.dumps(document, indent=2))
    elif name is not None:
        show(page(read_batch(document), now(), trace_url))
    elif batches := [read_batch(each) for each in document.get("items", [])]:
        show(table(batches, now(), all_namespaces))
    else:
        print("no batches" if all_namespaces else "no batches in this namespace")


@app.command()
@on_cluster
def watch(kubectl: Kubectl, name: Name, trace_url: TraceUrl = "") -> None:
    """Follow a batch until it is finished.

    Exit codes: 0 all items succeeded · 3 finished, some items failed · 1 failed, cancelled or deleted ·
    130 interrupted.
    """
    view = watch_view(trace_url)

    def is_seen_to_the_end(batch: Batch) -> bool:
        view.update(batch)
        return batch.is_finished

    try:
        last = until(kubectl, name, is_seen_to_the_end, lambda e: view.say(f"the cluster is away, still watching: {e}"))
    finally:
        view.close()
    codes = {"Succeeded": Exit.SUCCEEDED, "CompletedWithErrors": Exit.COMPLETED_WITH_ERRORS}
    raise typer.Exit(codes.get(last.phase, Exit.FAILED))


@app.command()
@on_cluster
def results(
    kubectl: Kubectl,
    name: Name,
    partial: Partial = False,
    output: FileOrFolder = None,
    force: Force = False,
    operator_namespace: OperatorNamespace = _OPERATOR_NAMESPACE,
    store_endpoint: StoreEndpoint = "",
) -> None:
    """Read the results of a batch."""
    reader = _reader(kubectl, name, operator_namespace, store_endpoint)
    if partial:
        deliver(reader.partial("results", tell), output, force)
    else:
        deliver_output(reader.output("results"), output, force, tell)


@app.command()
@on_cluster
def errors(
    kubectl: Kubectl,
    name: Name,
    partial: Partial = False,
    category: Categories = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="Instead: id, category and link to the trace, with tabs between.")
    ] = False,
    trace_url: ListedTraceUrl = "",
    output: FileOrFolder = None,
    force: Force = False,
    operator_namespace: OperatorNamespace = _OPERATOR_NAMESPACE,
    store_endpoint: StoreEndpoint = "",
) -> None:
    """Read the dead letters of a batch.

    They are the items without a result, each with the reason.
    """
    reader = _reader(kubectl, name, operator_namespace, store_endpoint)
    trace, template = trace or bool(trace_url), trace_url or os.environ.get(VARIABLE, "")
    if (category or trace) and not partial and not has_own_form(reader.batch):
        option, what = ("--category", "category") if category else ("--trace", "trace")
        raise InvalidError(f"{option}: errors in OpenAI's form do not name a {what} each")
    if not (partial or category or trace):
        deliver_output(reader.output("errors"), output, force, tell)
        return
    letters = reader.partial("errors", tell) if partial else unpacked_blocks(reader.output("errors"))
    chosen = of_categories(letters, category) if category else letters
    deliver(traces_of(chosen, reader.batch, template, tell) if trace else chosen, output, force)


@app.command()
@on_cluster
def summary(
    kubectl: Kubectl,
    name: Name,
    output: File = None,
    force: Force = False,
    operator_namespace: OperatorNamespace = _OPERATOR_NAMESPACE,
    store_endpoint: StoreEndpoint = "",
) -> None:
    """Read the record of a finished batch.

    It is JSON: what was asked, of which model, with which input, and what came of it.
    """
    deliver(iter([_reader(kubectl, name, operator_namespace, store_endpoint).summary()]), output, force)


@app.command()
@on_cluster
def undelivered(
    kubectl: Kubectl,
    name: Name,
    output: File = None,
    force: Force = False,
    operator_namespace: OperatorNamespace = _OPERATOR_NAMESPACE,
    store_endpoint: StoreEndpoint = "",
) -> None:
    """Read the results that `deliver.url` did not take.

    Each with the reason.
    """
    deliver(_reader(kubectl, name, operator_namespace, store_endpoint).undelivered(), output, force)


@app.command()
@on_cluster
def report(
    kubectl: Kubectl,
    name: Name,
    output: File = None,
    force: Force = False,
    operator_namespace: OperatorNamespace = _OPERATOR_NAMESPACE,
    store_endpoint: StoreEndpoint = "",
) -> None:
    """Make a page about a finished batch.

    It is one HTML file: progress, throughput, latency, errors, cost, slowest items, shards.
    """
    from llmbatch_cli.report.page import page_of

    html = page_of(*_reader(kubectl, name, operator_namespace, store_endpoint).for_page())
    deliver(iter([html.encode()]), output, force)


@app.command()
@on_cluster
def cancel(kubectl: Kubectl, name: Name, wait: Wait = False) -> None:
    """End a batch early.

    What is answered becomes results, the rest dead letters.
    """
    change(kubectl, name, CANCEL, wait)


@app.command()
@on_cluster
def suspend(kubectl: Kubectl, name: Name, wait: Wait = False) -> None:
    """Hold a batch; `resume` lets it go on.

    Its pods end within seconds. What is answered is kept and not asked again.
    """
    change(kubectl, name, SUSPEND, wait)


@app.command()
@on_cluster
def resume(kubectl: Kubectl, name: Name, wait: Wait = False) -> None:
    """Let a suspended batch go on."""
    change(kubectl, name, RESUME, wait)


@app.command(name="approve")
@on_cluster
def approve_(kubectl: Kubectl, name: Name) -> None:
    """Let a batch go on that waits after its canary.

    `status` shows what the canary asked, and what all of it would cost.
    """
    approve(kubectl, name)


@app.command()
@on_cluster
def logs(
    kubectl: Kubectl,
    name: Name,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
) -> None:
    """Print the logs of a batch's pods."""
    get_batch(kubectl, name)  # else a wrong name would look like a batch that says nothing
    chosen = ("--selector", f"{BATCH_LABEL}={name}", "--prefix", "--tail=-1", f"--max-log-requests={_LOGS_AT_ONCE}")
    raise typer.Exit(kubectl.pass_through("logs", *chosen, *(["--follow"] if follow else [])))


@app.command()
@on_cluster
def retry(
    kubectl: Kubectl,
    name: Name,
    category: Categories = None,
    new_name: Annotated[
        str | None, typer.Option("--name", metavar="NEW", help="Name of the new batch. Default: NAME-retry-1, or -2, …")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the new manifest and create nothing.")] = False,
) -> None:
    """Ask dead letters again, in a new batch."""
    retry_batch(kubectl, name, [each.value for each in category or []], new_name, dry_run)


@app.command()
def version() -> None:
    """Print the version of this command."""
    print(f"kubectl-llmbatch {__version__}")


def _reader(kubectl: Kubectl, name: str, operator_namespace: str, store_endpoint: str) -> Reader:
    return Reader(kubectl, get_batch(kubectl, name), operator_namespace, store_endpoint, time.time)


def main() -> None:
    """Entry point of the console script."""
    raise_on_sigterm()
    try:
        app(prog_name="kubectl llmbatch")
    except LLMBatchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(exit_for(error))


if __name__ == "__main__":
    main()
