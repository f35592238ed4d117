"""The top of the page: the batch, how it ended in a sentence, and the key figures. Pure."""

from typing import Any

from llmbatch_cli.report import wording
from llmbatch_cli.report.markup import NOTHING, Html, el, join
from llmbatch_cli.report.series import Timeline, per_minute, window_of

Document = dict[str, Any]

_CHECK, _CROSS, _BANG, _SQUARE = "M3 8.5l3.2 3.2L13 5", "M4 4l8 8M12 4l-8 8", "M8 3v6.5M8 12.4v.6", "M4.5 4.5h7v7h-7z"
_HALF_MOON = "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12"
_PHASES = {
    "Succeeded": ("good", _CHECK, "Succeeded"),
    "CompletedWithErrors": ("mixed", _BANG, "Completed with errors"),
    "Failed": ("bad", _CROSS, "Failed"),
    "Cancelled": ("off", _SQUARE, "Cancelled"),
}
_REASON_CHARS = 500


def header(summary: Document) -> Html:
    """Name, phase and the sentence; the button for the theme shows where it works."""
    kind, sign, phase = _PHASES.get(summary["phase"], ("off", _SQUARE, summary["phase"]))
    badge = el("span", _icon(sign), phase, class_=f"badge {kind}")
    button = el(
        "button", _icon(_HALF_MOON), "Theme", id="theme", type="button", hidden="hidden", aria_label="Light or dark"
    )
    return el(
        "header",
        el("div", el("p", f"LLMBatch report · {summary['namespace']}", class_="kicker"), button, class_="top"),
        el("h1", el("bdi", summary["name"])),
        el("p", badge, " ", _sentence(summary), class_="verdict"),
        _facts(summary),
    )


def _icon(path: str) -> Html:
    return el("svg", el("path", d=path), class_="icon", viewBox="0 0 16 16", aria_hidden="true")


def _sentence(summary: Document) -> Html:
    reason = summary["reason"]
    said = el("span", _counts(summary))
    if reason is None:
        return said
    return join(said, " ", el("span", "Stopped early: ", el("bdi", str(reason["message"])[:_REASON_CHARS])))


def _counts(summary: Document) -> str:
    items = summary["items"]
    total, succeeded = items["total"], items["succeeded"]
    if not total:
        return "There were no items."
    if succeeded == total:
        return f"{'The one item' if total == 1 else f'All {wording.whole(total)} items'} succeeded."
    parts = [f"{wording.whole(succeeded)} of {wording.plural(total, 'item')} succeeded"]
    parts += [f"{wording.whole(items['failed'])} failed"] if items["failed"] else []
    parts += [f"{wording.whole(items['cancelled'])} were not answered"] if items["cancelled"] else []
    return ", ".join(parts) + "."


def _facts(summary: Document) -> Html:
    configuration = summary["configuration"]
    rows = (
        ("Model", configuration.get("model") or "named by each item"),
        ("Endpoint", wording.without_query(configuration["endpoint"].get("url", wording.NONE))),
        ("Started", wording.moment(summary["started_at"])),
        ("Finished", wording.moment(summary["completed_at"])),
        ("Trace", el("code", summary.get("trace_id") or wording.NONE)),
    )
    return el("dl", *(el("div", el("dt", name), el("dd", value)) for name, value in rows), class_="facts")


def figures(summary: Document, timeline: Timeline) -> Html:
    """The numbers that everybody asks for."""
    cards = (
        _items(summary), _failed(summary), _time(summary), _rate(summary, timeline), _tokens(summary), _cost(summary),
        _latency(summary), _retries(summary),
    )  # fmt: skip
    return el("section", *cards, class_="cards", aria_label="Key figures")


def _card(name: str, value: str, note: object, extra: Html = NOTHING) -> Html:
    return el("div", el("h2", name), el("p", value, class_="value"), extra, el("p", note, class_="note"), class_="card")


def _items(summary: Document) -> Html:
    items = summary["items"]
    total = items["total"]
    kinds = ("succeeded", "failed", "cancelled")
    parts = [el("i", class_=f"key {kind}", style=f"flex-grow:{items[kind]}") for kind in kinds if items[kind]]
    note = f"{wording.share(items['succeeded'], total)} of {wording.whole(total)}" if total else "no items"
    strip = el("div", *parts, class_="strip", aria_hidden="true")
    return _card("Items succeeded", wording.whole(items["succeeded"]), note, strip)


def _failed(summary: Document) -> Html:
    items = summary["items"]
    note = f"{wording.share(items['failed'], items['total'])} of all items" if items["failed"] else "none"
    if items["cancelled"]:
        note += f"; {wording.whole(items['cancelled'])} not answered"
    return _card("Items failed", wording.whole(items["failed"]), note)


def _time(summary: Document) -> Html:
    return _card("Time", wording.duration(summary["duration_seconds"]), "from the plan to the outputs")


def _rate(summary: Document, timeline: Timeline) -> Html:
    done, seconds = summary["items"]["succeeded"] + summary["items"]["failed"], timeline.seconds
    if timeline.is_empty or not seconds:
        return _card("Items a minute", wording.NONE, "nothing was answered")
    ended = [a + b for a, b in zip(timeline.succeeded, timeline.failed, strict=True)]
    peak = max(per_minute(ended, timeline.width_s, window_of(timeline)))
    return _card("Items a minute", wording.whole(60 * done / seconds), f"at most {wording.whole(peak)}")


def _tokens(summary: Document) -> Html:
    usage = summary["usage"]
    put_in, out = (wording.compact(usage[f"{kind}_tokens"]) for kind in ("input", "output"))
    total = usage["total_tokens"]
    value = wording.whole(total) if total < 1e7 else wording.compact(total)
    return _card("Tokens", value, f"{put_in} in, {out} out")


def _cost(summary: Document) -> Html:
    cost, succeeded = summary["cost"], summary["items"]["succeeded"]
    if cost is None:
        return _card("Cost", wording.NONE, "the endpoint has no pricing")
    each = (
        f"{wording.money(1000 * cost['amount'] / succeeded, cost['currency'])} per 1,000 results" if succeeded else ""
    )
    return _card("Cost", wording.money(cost["amount"], cost["currency"]), each)


def _latency(summary: Document) -> Html:
    shares = summary["latency_ms"]
    note = f"p95 {wording.latency(shares['p95'])}, p99 {wording.latency(shares['p99'])}"
    return _card("Latency, median", wording.latency(shares["p50"]), note)


def _retries(summary: Document) -> Html:
    requests = summary.get("attempts")
    parts = [f"of {wording.plural(requests, 'request')}"] if requests is not None else []
    parts += [f"{wording.plural(summary['resent_items'], 'item')} sent twice"] if summary["resent_items"] else []
    return _card("Retries", wording.whole(summary["retries"]), ", ".join(parts))
