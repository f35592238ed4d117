"""A batch as a page, many as a table, one moment as a line. Pure: from batches and the time to lines of text.

`status` and `watch` print them. A line has a style that a terminal may show and a file does without.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from llmbatch_cli.kubectl.batches import Batch, Condition, ErrorTally
from llmbatch_cli.kubectl.places import Kind, Place
from llmbatch_cli.kubectl.traces import trace_of
from llmbatch_cli.kubectl.words import bar, clean, clock, percent, rate, since, size
from llmbatch_cli.trace_links import trace_link

_BAR_CHARS = 60
_UNREMARKABLE = frozenset({"Planned", "Complete", "CanaryPassed"})
"""Conditions that say no more than the phase does."""
_FIRST_CONDITIONS = ("Blocked", "Failed", "Cancelled", "Stopping", "Suspended")
_LABELS = {"BudgetExceeded": "budget", "EndpointDown": "endpoint", "ErrorRateHigh": "errors"}
"""Of conditions whose name is too long."""
_PHASE_STYLES = {
    "Succeeded": "green",
    "CompletedWithErrors": "yellow",
    "Failed": "red",
    "Cancelled": "yellow",
    "Suspended": "yellow",
    "AwaitingApproval": "yellow",
}


@dataclass(frozen=True)
class Line:
    """One line, and how a terminal may show it, in rich's words."""

    text: str
    style: str = ""


def page(batch: Batch, now: datetime, trace_url: str = "") -> list[Line]:
    """Everything about one batch; `trace_url` is the template of a link to its trace."""
    lines = [
        Line(f"{batch.name}: {batch.phase}", f"bold {_PHASE_STYLES.get(batch.phase, 'cyan')}"),
        *(_row(_label(c), _told(c), "red" if c.type != "Suspended" else "yellow") for c in troubles(batch)),
    ]
    if batch.items.total:
        lines.append(Line(f"  {bar(batch.share, _BAR_CHARS)}  {percent(batch.share)}", "cyan"))
    facts = [*_counts(batch), *_input(batch), *_pace(batch, now), *_waits(batch, now), *_use(batch), *_canary(batch)]
    lines += [_row(label, text) for label, text in facts]
    lines += [_row("error", _error(e), "yellow") for e in batch.errors]
    return lines + [_row(label, text) for label, text in (*_context(batch, trace_url), *_what_next(batch))]


def moment(batch: Batch) -> str:
    """Where it stands, on one line."""
    items, parts = batch.items, [batch.phase]
    if items.total:
        parts[0] += f": {items.done:,} of {items.total:,} ({percent(batch.share)})"
        parts.append(f"{items.succeeded:,} succeeded, {items.failed:,} failed")
    per_minute, left = batch.status.number("itemsPerMinute"), batch.status.text("timeLeft")
    parts += [rate(per_minute)] if per_minute is not None else []
    parts += [f"{left} left"] if left else []
    named = ((c.type, _told(c)) for c in troubles(batch))
    return " · ".join([*parts, *(told if type_ == batch.phase else f"{type_}: {told}" for type_, told in named)])


def table(batches: Sequence[Batch], now: datetime, with_namespace: bool) -> list[Line]:
    """A line for each batch."""
    head = ["NAME", "PHASE", "PROGRESS", "SUCCEEDED", "FAILED", "TOTAL", "RATE", "LEFT", "AGE", "NOTE"]
    rows = [_cells(batch, now) for batch in batches]
    if with_namespace:
        head, rows = ["NAMESPACE", *head], [[b.namespace, *row] for b, row in zip(batches, rows, strict=True)]
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    styles = ["bold", *(_PHASE_STYLES.get(b.phase, "") for b in batches)]
    texts = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows))
    return [Line(text.rstrip(), style) for text, style in zip(texts, styles, strict=True)]


def troubles(batch: Batch) -> list[Condition]:
    """Conditions that say more than the phase, what blocks first; the same is told once."""
    order = {type_: n for n, type_ in enumerate(_FIRST_CONDITIONS)}
    told = sorted(batch.conditions, key=lambda c: order.get(c.type, len(order)))
    once = {(c.reason, c.message): c for c in reversed(told) if c.type not in _UNREMARKABLE}
    return list(reversed(once.values()))


def _cells(batch: Batch, now: datetime) -> list[str]:
    items, status = batch.items, batch.status
    counts = [f"{n:,}" for n in (items.succeeded, items.failed, items.total)] if items.total else ["-", "-", "-"]
    note = next((c.reason for c in troubles(batch) if c.reason != batch.phase), "")
    return [
        batch.name,
        batch.phase,
        percent(batch.share).replace(" ", "") if items.total else "-",
        *counts,
        rate(status.number("itemsPerMinute")),
        status.text("timeLeft", "-"),
        since(batch.created_at, now),
        note,
    ]


def _label(condition: Condition) -> str:
    return _LABELS.get(condition.type, condition.type.lower())


def _row(label: str, text: str, style: str = "") -> Line:
    return Line(f"  {label:<10} {text}", style)


def _told(condition: Condition) -> str:
    message = clean(condition.message, 500)
    if not message or condition.reason == condition.type:
        return message or condition.reason
    return f"{condition.reason}: {message}"


def _error(tally: ErrorTally) -> str:
    sample = f", as {clean(tally.sample_item, 60)}: {clean(tally.sample_message)}" if tally.sample_item else ""
    return f"{tally.category}: {tally.count:,}{sample}"


def _counts(batch: Batch) -> Iterator[tuple[str, str]]:
    items, shards = batch.items, batch.status.part("shards")
    if items.total:
        named = {
            "succeeded": items.succeeded,
            "failed": items.failed,
            "cancelled": items.cancelled,
            "running": items.running,
            "pending": items.pending,
        }
        told = ", ".join(f"{n:,} {name}" for name, n in named.items() if n or name in ("succeeded", "failed"))
        yield "items", f"{items.total:,}: {told}"
    if shards.count("total"):
        told = ", ".join(f"{shards.count(name):,} {name}" for name in ("active", "succeeded", "failed"))
        yield "shards", f"{shards.count('total'):,}: {told}"


def _input(batch: Batch) -> Iterator[tuple[str, str]]:
    """The input as it was found."""
    found = batch.status.part("input")
    if not (format_ := found.text("format")):
        return
    packing = found.text("packing", "none")
    packed = "" if packing == "none" else f", packed with {packing}"
    objects = f", {count:,} objects" if (count := found.count("objects")) > 1 else ""
    bytes_ = f", {size(count)}" if (count := found.count("bytes")) else ""
    yield "input", clean(f"{format_}{packed}{objects}{bytes_}")


def _pace(batch: Batch, now: datetime) -> Iterator[tuple[str, str]]:
    status = batch.status
    start, end = status.time("startTime"), status.time("completionTime")
    if start is not None:
        word = "took" if end is not None else "for"
        yield "time", f"{word} {since(start, end or now)}, since {clock(start)}"
    if (per_minute := status.number("itemsPerMinute")) is not None:
        yield "rate", rate(per_minute) + (" on average" if batch.is_finished else "")
    if left := status.text("timeLeft"):
        eta = status.time("estimatedCompletionTime")
        yield "left", left if eta is None else f"{left}, until about {clock(eta)}"


def _waits(batch: Batch, now: datetime) -> Iterator[tuple[str, str]]:
    """What it waits for, and until when."""
    if batch.is_finished:
        return
    if waits_for := batch.status.text("waitingFor"):
        yield "waits for", clean(waits_for)
    if (opens := batch.status.time("nextStartTime")) is not None:
        yield "opens", f"in {since(now, opens)}, at {clock(opens)}"


def _canary(batch: Batch) -> Iterator[tuple[str, str]]:
    """What the first items have shown."""
    canary = batch.status.part("canary")
    if canary.is_empty:
        return
    failed = f"{canary.count('failed'):,} failed ({canary.number('failurePercent') or 0:g} %)"
    yield "canary", f"{canary.count('items'):,}: {canary.count('succeeded'):,} succeeded, {failed}"
    tokens = canary.count("projectedTokens")
    expected = [canary.part("projectedCost").text("display"), f"{tokens:,} tokens" if tokens else ""]
    expected.append(f"about {takes}" if (takes := canary.text("projectedDuration")) else "")
    if told := ", ".join(filter(None, expected)):
        yield "all of it", told


def _use(batch: Batch) -> Iterator[tuple[str, str]]:
    status = batch.status
    usage, latency = status.part("usage"), status.part("latency")
    if usage.count("totalTokens"):
        yield "tokens", f"{usage.count('inputTokens'):,} in, {usage.count('outputTokens'):,} out"
    if cost := status.part("cost").text("display"):
        yield "cost", cost
    known = [(name, ms) for name in ("p50", "p95", "p99") if (ms := latency.number(name)) is not None]
    if known:
        yield "latency", ", ".join(f"{name} {ms:,.0f} ms" for name, ms in known)
    if status.count("retries") or status.count("resentItems"):
        resent = f"; items sent again after a pod ended: {status.count('resentItems'):,}"
        yield "retries", f"{status.count('retries'):,}{resent}"


def _context(batch: Batch, trace_url: str) -> Iterator[tuple[str, str]]:
    yield "namespace", batch.namespace
    if isinstance(model := batch.spec.get("model"), str):
        yield "model", clean(model)
    if trace := batch.status.text("traceId"):
        yield "trace", trace
        if trace_url:
            yield "trace at", trace_link(trace_url, trace_of(batch))


def _what_next(batch: Batch) -> Iterator[tuple[str, str]]:
    """How to get at the outputs, or what there is to do."""
    output, me = batch.status.part("output"), f"{batch.name} -n {batch.namespace}"
    if batch.status.is_empty:
        yield "waits", "no operator has seen it yet; does one run? `kubectl get pods -n llmbatch-system`"
    if batch.phase == "AwaitingApproval":
        yield "go on", f"kubectl llmbatch approve {me}"
        yield "or end", f"kubectl llmbatch cancel {me}"
    if not batch.is_finished:
        return
    for which in ("results", "errors"):
        if text := output.text(which):
            place = Place.of(text)
            command = f"kubectl llmbatch {which} {me} -o {place.name}"
            yield which, command if place.kind is Kind.BUILT_IN else text
    if batch.items.dead_letters and output.text("errors"):
        yield "retry", f"kubectl llmbatch retry {me}"
