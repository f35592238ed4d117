"""The items that took longest. Pure."""

from typing import Any

from llmbatch_cli.report import wording
from llmbatch_cli.report.markup import Html, el, join


def slowest(rows: list[dict[str, Any]]) -> Html:
    """A table, the slowest first."""
    if not rows:
        return el("p", "No request has a latency.", class_="empty")
    names = ("Item", "Latency", "", "Attempts", "Tokens in", "Tokens out", "Ended, UTC")
    head = el("tr", *(el("th", n, scope="col", class_="n" if i else None) for i, n in enumerate(names)))
    clock = wording.clock_of(row["ended_at"] for row in rows)
    body = (_row(row, rows[0]["latency_ms"], clock(row["ended_at"])) for row in rows)
    return el("div", el("table", el("thead", head), el("tbody", *body)), class_="scroll")


def _row(row: dict[str, Any], most_ms: float, ended: str) -> Html:
    failed = join(" ", el("code", row["category"], class_="failed")) if row["category"] else ""
    width = 100 * row["latency_ms"] / most_ms if most_ms else 0
    return el(
        "tr",
        el("th", el("bdi", row["id"]), failed, scope="row"),
        el("td", wording.latency(row["latency_ms"]), class_="n"),
        el("td", el("i", style=f"width:{width:.0f}%"), class_="meter"),
        *(el("td", wording.whole(row[name]), class_="n") for name in ("attempts", "input_tokens", "output_tokens")),
        el("td", ended, class_="n"),
    )
