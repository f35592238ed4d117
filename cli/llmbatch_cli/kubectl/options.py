"""The options that choose a cluster, the same on every command. Used by main.py.

They may stand before the command's name or after it, as in kubectl itself; after it wins.
"""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Concatenate

import typer

from llmbatch_cli.kubectl.kubectl import Kubectl
from llmbatch_contract.exits import Exit

Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", metavar="NAME", help="Namespace. Default: the context's.")
]
Context = Annotated[str | None, typer.Option("--context", metavar="NAME", help="Context of the kubeconfig.")]
Kubeconfig = Annotated[str | None, typer.Option("--kubeconfig", metavar="FILE", help="The kubeconfig to use.")]

_OPTIONS = {"namespace": Namespace, "context": Context, "kubeconfig": Kubeconfig}


def on_cluster(command: Callable[Concatenate[Kubectl, ...], None]) -> Callable[..., None]:
    """Give a command the options, and a Kubectl made from them as its first argument."""

    def run(ctx: typer.Context, **given: Any) -> None:
        own = {name: given.pop(name) for name in _OPTIONS}
        before = ctx.obj if isinstance(ctx.obj, dict) else {}
        kubectl = Kubectl(**{name: own[name] or before.get(name) for name in _OPTIONS})
        try:
            command(kubectl, **given)
        except KeyboardInterrupt:  # on which typer would print a word and exit with 1
            raise typer.Exit(Exit.INTERRUPTED) from None

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = _signature(command)  # type: ignore[attr-defined]
    return run


def _signature(command: Callable[..., None]) -> inspect.Signature:
    """The command's own, with a context for the Kubectl and the options added."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    _, *own = inspect.signature(command).parameters.values()
    added = [inspect.Parameter(n, keyword, default=None, annotation=a) for n, a in _OPTIONS.items()]
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    return inspect.Signature([context, *own, *added])
