"""Attempts at shards as a timeline: who worked when, and who was lost. Pure."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from llmbatch_cli.report import wording
from llmbatch_cli.report.axes import Axis, seconds
from llmbatch_cli.report.charts import Mark, bar, figure, legend, plot
from llmbatch_cli.report.markup import Html, el, join
from llmbatch_cli.report.series import Timeline

Document = dict[str, Any]

_ENDS = {"done": "finished the shard", "stopped": "stopped in order", "lost": "lost without a word"}
_TIMES = ("claimed_at", "last_record_at")
_MOST_ROWS = 200
_LEAST_WIDTH = 0.003
_LABELS = 20


def shards(document: Document, timeline: Timeline) -> Html:
    """The timeline of attempts, and a table of them."""
    shown = document["shown"]
    if not document["attempts"]:
        return el("p", "No shard was begun.", class_="empty")
    return join(_chart(document, timeline), _again(shown), _all(shown))


def _chart(document: Document, timeline: Timeline) -> Html:
    shown, start = document["shown"], timeline.start
    x = seconds(max(timeline.seconds, *(_last_second(row, start) for row in shown), 0.1))
    layers, marks = list[Html](), list[Mark]()
    for number, row in enumerate(shown):
        top, bottom = 1 - (number + 0.12) / len(shown), 1 - (number + 0.88) / len(shown)
        for attempt in row["attempts"]:
            begin, end = _seconds(attempt, start)
            words = f"Shard {row['shard']}, {_words(attempt)}"
            layers.append(bar(x.at(begin), x.at(end), bottom, top, attempt["ended"], words, _LEAST_WIDTH))
            if attempt["ended"] == "lost" and len(marks) < _MOST_ROWS:
                marks.append(Mark(max(x.at(end), _LEAST_WIDTH), (top + bottom) / 2, "×", "lost"))
    y = Axis(0, 1, tuple((1 - (n + 0.5) / len(shown), str(shown[n]["shard"])) for n in _labelled(len(shown))))
    height = f"{max(48, min(26 * len(shown), 20 * 24 + 3 * len(shown), 900))}px"
    about = _about(document)
    chart = plot(x, y, *layers, label=f"Attempts at shards over time: {about}", height=height, marks=marks, grid_x=True)
    kinds = {attempt["ended"] for row in shown for attempt in row["attempts"]}
    keys = legend(*((kind, words) for kind, words in _ENDS.items() if kind in kinds))
    return figure("Attempts over time", keys, chart, note=about)


def _labelled(count: int) -> range:
    return range(0, count, max(1, -(-count // _LABELS)))


def _about(document: Document) -> str:
    total, shown = document["total"], len(document["shown"])
    said = f"{wording.plural(total, 'shard')} in {wording.plural(document['attempts'], 'attempt')}"
    said += f", {wording.whole(document['lost'])} of them lost." if document["lost"] else ", none of them lost."
    said += " Lost ones were killed, evicted or out of memory, or their node went away." if document["lost"] else ""
    if shown < total:
        said += (
            f" Shown are {wording.whole(shown)} shards: some from beginning to end, and those with several attempts."
        )
    return said


def _seconds(attempt: Document, start: datetime | None) -> tuple[float, float]:
    """From the claim to the last record."""
    begin = _second(attempt["claimed_at"] or attempt["first_record_at"], start)
    end = _second(attempt["last_record_at"], start)
    begin = begin if begin is not None else (end or 0.0)
    return begin, max(begin, end if end is not None else begin)


def _second(iso: str | None, start: datetime | None) -> float | None:
    when = wording.when_of(iso)
    return None if when is None or start is None else max(0.0, (when - start).total_seconds())


def _last_second(row: Document, start: datetime | None) -> float:
    return max((_seconds(attempt, start)[1] for attempt in row["attempts"]), default=0.0)


def _words(attempt: Document) -> str:
    worker = attempt["worker"] or "an unknown worker"
    written = wording.plural(attempt["records"], "record")
    return f"attempt {attempt['attempt']} on {worker}: {written}, {_ENDS.get(attempt['ended'], attempt['ended'])}"


def _again(shown: list[Document]) -> Html:
    again = [row for row in shown if row["attempt_count"] > 1]
    if not again:
        return join()
    return join(el("h3", "Shards that took more than one attempt"), _table(again))


def _all(shown: list[Document]) -> Html:
    return el("details", el("summary", "All attempts as a table"), _table(shown))


def _table(rows: list[Document]) -> Html:
    names = ("Shard", "Attempt", "Worker", "Claimed, UTC", "Last record", "Records", "How it ended")
    head = el("tr", *(el("th", n, scope="col", class_="n" if i == 5 else None) for i, n in enumerate(names)))
    attempts = [(row, attempt) for row in rows for attempt in row["attempts"]]
    clock = wording.clock_of(attempt[name] for _, attempt in attempts for name in _TIMES)
    body = (_table_row(row, attempt, clock) for row, attempt in attempts[:_MOST_ROWS])
    left = len(attempts) - _MOST_ROWS
    more = el("p", f"and {wording.whole(left)} more", class_="note") if left > 0 else ""
    return join(el("div", el("table", el("thead", head), el("tbody", *body)), class_="scroll"), more)


def _table_row(row: Document, attempt: Document, clock: Callable[[object], str]) -> Html:
    return el(
        "tr",
        el("th", str(row["shard"]), scope="row", class_="short"),
        el("td", str(attempt["attempt"])),
        el("td", el("bdi", attempt["worker"] or wording.NONE)),
        *(el("td", clock(attempt[name])) for name in _TIMES),
        el("td", wording.whole(attempt["records"]), class_="n"),
        el("td", el("i", class_=f"key {attempt['ended']}"), " ", _ENDS.get(attempt["ended"], attempt["ended"])),
    )
