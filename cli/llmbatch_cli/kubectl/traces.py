"""Dead letters as a list of links into the trace of their batch: `errors --trace`. Pure, but for the hint."""

import json
from collections.abc import Callable, Iterator

from llmbatch_cli.kubectl.batches import Batch, Fields
from llmbatch_cli.kubectl.words import clean
from llmbatch_cli.outputs.download import lines_of
from llmbatch_cli.trace_links import EXAMPLE, VARIABLE, Traced, check_template, trace_link

_ID_CHARS = 60
HINT = f"these are trace ids; --trace-url or {VARIABLE} makes links of them, such as {EXAMPLE}"


def trace_of(batch: Batch, letter: Fields | None = None) -> Traced:
    """Where the spans of a batch, or of an item with a dead letter, are found."""
    own = letter or Fields({})
    index = own.number("index")
    return Traced(
        trace_id=own.text("trace_id") or batch.status.text("traceId"),
        namespace=batch.namespace,
        batch=batch.name,
        item=own.text("id"),
        index="" if index is None else str(int(index)),
    )


def traces_of(blocks: Iterator[bytes], batch: Batch, template: str, tell: Callable[[str], None]) -> Iterator[bytes]:
    """A line for each dead letter: id, category and link, with tabs between; without a template the trace id.

    Raises InvalidError for a template that cannot be used, before anything is read.
    """
    if template:
        check_template(template)
    else:
        tell(HINT)
    return (_line(Fields(json.loads(line)), batch, template) for line in lines_of(blocks))


def _line(letter: Fields, batch: Batch, template: str) -> bytes:
    traced = trace_of(batch, letter)
    where = trace_link(template, traced) if template else traced.trace_id
    words = (clean(traced.item, _ID_CHARS), letter.part("error").text("category", "unknown"), where or "-")
    return ("\t".join(words) + "\n").encode()
