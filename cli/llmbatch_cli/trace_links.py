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

_NAMES = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)

TraceUrl = Annotated[
    str,
    typer.Option("--trace-url", metavar="TEMPLATE", envvar=VARIABLE, help=f"Link to a trace, with {_NAMES}."),
]
ListedTraceUrl = Annotated[
    str,
    typer.Option(
        "--trace-url",
        metavar="TEMPLATE",
        help=f"As --trace, with links of this form, instead of that of {VARIABLE}: with {_NAMES}.",
    ),
]
"""Where it is also a wish for links, which the variable is not."""

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
    """The template with its placeholders filled in, quoted for a URL. Raises InvalidError for one that is unknown.

    A parameter of the query whose value would be empty is left out.
    """
    check_template(template)
    return _PLACEHOLDER.sub(lambda found: quote(getattr(traced, found[1]), safe=""), _of_this(template, traced))


def check_template(template: str) -> None:
    """Raise InvalidError unless all placeholders are known."""
    unknown = [found for found in _PLACEHOLDER.findall(template) if found not in PLACEHOLDERS]
    if unknown:
        raise InvalidError(
            f"{{{unknown[0]}}} in the link to a trace ({VARIABLE}, --trace-url) is unknown; there are {_NAMES}"
        )


def _of_this(template: str, traced: Traced) -> str:
    """The template without the parameters that would have no value: `uiFind=` alone finds every span or none."""
    path, mark, rest = template.partition("?")
    query, hash_mark, fragment = rest.partition("#")
    parameters = [each for each in query.split("&") if not _is_empty(each, traced)]
    return path + mark * bool(parameters) + "&".join(parameters) + hash_mark + fragment


def _is_empty(parameter: str, traced: Traced) -> bool:
    placeholder = _PLACEHOLDER.fullmatch(parameter.partition("=")[2])
    return placeholder is not None and not getattr(traced, placeholder[1])
