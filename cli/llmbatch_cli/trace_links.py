"""Links into the user's trace viewer, by a template such as http://jaeger/trace/{trace_id}?uiFind={item}. Pure.

Used wherever a trace id is shown: `kubectl llmbatch status`, `watch` and `errors --trace`, and the end of a local run.
"""

import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

import typer

from llmbatch_contract.errors import InvalidError

VARIABLE = "LLMBATCH_TRACE_URL"
PLACEHOLDERS = ("trace_id", "item", "index", "namespace", "batch")
EXAMPLE = "http://jaeger:16686/trace/{trace_id}?uiFind={item}"

TraceUrl = Annotated[
    str,
    typer.Option(
        "--trace-url",
        metavar="TEMPLATE",
        envvar=VARIABLE,
        help=f"Link to a trace, with {', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}.",
    ),
]

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
"""Other braces stay: Grafana's links hold JSON."""


@dataclass(frozen=True)
class Traced:
    """What a link leads to; without an item, to the trace of the whole batch."""

    trace_id: str
    namespace: str
    batch: str
    item: str = ""
    index: str = ""


def trace_link(template: str, traced: Traced) -> str:
    """The template with its placeholders filled in, quoted for a URL. Raises InvalidError for one that is unknown."""
    check_template(template)
    return _PLACEHOLDER.sub(lambda found: quote(getattr(traced, found[1]), safe=""), template)


def check_template(template: str) -> None:
    """Raise InvalidError unless all placeholders are known."""
    unknown = [found for found in _PLACEHOLDER.findall(template) if found not in PLACEHOLDERS]
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise InvalidError(
            f"{{{unknown[0]}}} in the link to a trace ({VARIABLE}, --trace-url) is unknown; there are {known}"
        )
