"""The whole page. Pure: everything that it needs is in it, and it asks no network for anything."""

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

from llmbatch_cli.report.failures import failures
from llmbatch_cli.report.markup import Html, el, join
from llmbatch_cli.report.outcome import figures, header
from llmbatch_cli.report.over_time import distribution, latency, progress, throughput
from llmbatch_cli.report.pauses import find_pauses, paused_s, pauses_told
from llmbatch_cli.report.question import question
from llmbatch_cli.report.series import read_timeline
from llmbatch_cli.report.shards import shards
from llmbatch_cli.report.slowest import slowest
from llmbatch_cli.report.spending import spending
from llmbatch_contract.errors import InvalidError

VERSION = 1
"""Of report.json, as this page understands it."""


def page_of(summary: bytes, report: bytes) -> str:
    """The page, from the two files as they were written. Raises InvalidError if they do not fit."""
    told, numbers = json.loads(summary), json.loads(report)
    if numbers["version"] != VERSION:
        raise InvalidError("report.json was written by a newer version of llmbatch; use that version to make the page")
    if numbers["uid"] != told["uid"]:
        raise InvalidError("report.json and summary.json are of different runs")
    return page(told, numbers)


def page(summary: dict[str, Any], report: dict[str, Any]) -> str:
    """The page about a batch, from its `summary.json` and its `report.json`."""
    timeline = read_timeline(report["timeline"])
    total = summary["items"]["total"]
    pauses = find_pauses(timeline, report["shards"])
    rates = throughput(timeline, report["limits"], paused_s(pauses))
    body = join(
        header(summary),
        el(
            "main",
            figures(summary, timeline),
            _section("progress", "Progress", join(progress(timeline, total), pauses_told(pauses, timeline))),
            _section("throughput", "Throughput", el("div", *rates, class_="pair")),
            _section(
                "latency",
                "Latency",
                el("div", latency(timeline), distribution(report["latency"], summary["latency_ms"]), class_="pair"),
            ),
            _section("errors", "Errors", failures(report["errors"], total)),
            _section("cost", "Tokens and cost", spending(summary)),
            _section("slowest", "Slowest items", slowest(report["slowest"])),
            _section("shards", "Shards", shards(report["shards"], timeline)),
            _section("question", "What was asked", question(summary)),
        ),
        el("footer", el("p", f"Written by LLMBatch from summary.json and report.json of run {summary['uid']}.")),
    )
    return f"<!doctype html>\n{el('html', _head(summary), el('body', body, _script()), lang='en')}\n"


def _section(name: str, title: str, content: Html) -> Html:
    return el("section", el("h2", title, id=f"{name}-title"), content, id=name, aria_labelledby=f"{name}-title")


def _head(summary: dict[str, Any]) -> Html:
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=_policy()),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", f"{summary['name']}: {summary['phase']}"),
        el("style", Html(_asset("style.css"))),
    )


def _policy() -> str:
    """Nothing is loaded, and no script runs but the page's own."""
    digest = base64.b64encode(hashlib.sha256(_asset("script.js").encode()).digest()).decode()
    script = f"script-src 'sha256-{digest}'"
    return f"default-src 'none'; style-src 'unsafe-inline'; {script}; base-uri 'none'; form-action 'none'"


def _script() -> Html:
    return el("script", Html(_asset("script.js")))


def _asset(name: str) -> str:
    return files("llmbatch_cli.report").joinpath(name).read_text("utf-8")
