"""Shows a running batch: a live table on a terminal, else a plain line now and then, or JSON lines."""

import contextlib
import json
import sys
import time
from typing import Any, Protocol, TextIO

from llmbatch_cli.running.snapshot import Snapshot

INTERRUPTED = "interrupted; what was answered is kept. Run the same command again to go on"
_LINE_EVERY_S = 5.0


class Display(Protocol):
    """Where progress goes."""

    def update(self, snapshot: Snapshot) -> None:
        """Show a new moment."""

    def say(self, text: str) -> None:
        """Tell something once."""

    def close(self, summary: dict[str, Any] | None, trace: str = "") -> None:
        """Show the end; None when there is no summary. `trace` is where its trace is found, if anywhere."""


def make_display(output: str) -> Display:
    """The display for `--output`: json, or text as the terminal allows."""
    if output == "json":
        return JsonLines(sys.stdout)
    return Live() if sys.stdout.isatty() else PlainLines(sys.stdout)


def _print(text: str, file: TextIO) -> None:
    """Print a line; nobody listening any more is no reason to stop the batch."""
    with contextlib.suppress(BrokenPipeError):
        print(text, file=file, flush=True)


class JsonLines:
    """A JSON object a line: moments, then the summary."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def update(self, snapshot: Snapshot) -> None:
        """One line."""
        _print(json.dumps(snapshot.as_json()), self._file)

    def say(self, text: str) -> None:
        """One line."""
        _print(json.dumps({"message": text}), self._file)

    def close(self, summary: dict[str, Any] | None, trace: str = "") -> None:
        """The summary, as the last line."""
        if summary is not None:
            _print(json.dumps({"summary": summary}), self._file)


class PlainLines:
    """A line every few seconds, and one for each new stage."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._last_stage = ""
        self._last_done = -1
        self._last_line_at = float("-inf")

    def update(self, snapshot: Snapshot) -> None:
        """A line if the stage is new, or if something changed and the last line is old enough."""
        now = time.monotonic()
        is_news = snapshot.stage != self._last_stage
        if not is_news and (snapshot.done == self._last_done or now < self._last_line_at + _LINE_EVERY_S):
            return
        self._last_stage, self._last_done, self._last_line_at = snapshot.stage, snapshot.done, now
        self.say(" · ".join(describe(snapshot)))

    def say(self, text: str) -> None:
        """One line."""
        _print(text, self._file)

    def close(self, summary: dict[str, Any] | None, trace: str = "") -> None:
        """The summary in words."""
        if summary is not None:
            self.say(describe_summary(summary, trace))


class Live:
    """A progress bar with counts below, redrawn in place."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._console = Console()
        self._live = RichLive(console=self._console, refresh_per_second=4)
        self._live.start()

    def update(self, snapshot: Snapshot) -> None:
        """Redraw."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        picture = Table.grid()
        picture.add_row(ProgressBar(total=max(1, snapshot.total), completed=snapshot.done, width=60))
        for line in describe(snapshot):
            picture.add_row(line)
        self._live.update(picture)

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._console.print(text, highlight=False, markup=False)

    def close(self, summary: dict[str, Any] | None, trace: str = "") -> None:
        """Leave the last picture, and the summary below."""
        self._live.stop()
        if summary is not None:
            self._console.print(describe_summary(summary, trace), highlight=False, markup=False)


def describe(snapshot: Snapshot) -> list[str]:
    """A moment in one to three lines: where it stands, how fast it goes, what is in its way."""
    if snapshot.stage == "planning":
        return [f"planning: {snapshot.succeeded:,} items read"]
    share = 100 * snapshot.done / snapshot.total if snapshot.total else 100
    if snapshot.stage == "delivering":
        return ["delivering the results"]
    if snapshot.stage == "finalizing":
        return [f"finalizing: {snapshot.done:,} of {snapshot.total:,} records written ({share:.0f} %)"]
    counts = f"succeeded {snapshot.succeeded:,}, failed {snapshot.failed:,}, retries {snapshot.retries:,}"
    lines = [f"{snapshot.stage}: {snapshot.done:,} of {snapshot.total:,} ({share:.1f} %) · {counts}"]
    return [*lines, " · ".join(_pace(snapshot)), *filter(None, [" · ".join(_troubles(snapshot))])]


def _pace(snapshot: Snapshot) -> list[str]:
    parts = [f"{snapshot.in_flight} in flight"]
    if snapshot.items_per_second is not None:
        parts.append(f"{snapshot.items_per_second * 60:,.0f} a minute")
    if snapshot.eta_s is not None:
        parts.append(f"{duration(snapshot.eta_s)} left")
    if snapshot.usage.total:
        parts.append(f"{snapshot.usage.total:,} tokens")
    if snapshot.cost is not None:
        parts.append(f"{snapshot.cost:,.4f} {snapshot.currency}")
    return parts


def _troubles(snapshot: Snapshot) -> list[str]:
    parts = []
    if snapshot.errors:
        parts.append("errors: " + ", ".join(f"{category} {count:,}" for category, count in snapshot.errors))
    if snapshot.waiting:
        parts.append("to retry: " + ", ".join(f"{category} {count:,}" for category, count in snapshot.waiting))
    if snapshot.down_s is not None:
        parts.append(f"waits for the endpoint, down for {duration(snapshot.down_s)}: {snapshot.down_message}")
    if snapshot.store_s is not None:
        parts.append(f"waits for the store for {duration(snapshot.store_s)}: {snapshot.store_message}")
    if snapshot.backoff_s >= 1:
        parts.append(f"the endpoint asks to wait {duration(snapshot.backoff_s)}")
    return parts


def describe_summary(summary: dict[str, Any], trace: str = "") -> str:
    """The end of a batch in a few lines."""
    items, latency = summary["items"], summary["latency_ms"]
    lines = [
        f"{summary['name']}: {summary['phase']} in {duration(summary['duration_seconds'])}",
        f"  items      {items['total']:,}: {items['succeeded']:,} succeeded, {items['failed']:,} failed"
        + (f", {items['cancelled']:,} not answered" if items["cancelled"] else ""),
    ]
    if summary["reason"] is not None:
        lines.append(f"  stopped    {summary['reason']['message']}")
    lines += [f"  error      {e['category']}: {e['count']:,}, as {_sample(e)}" for e in summary["errors"]]
    if latency["p50"] is not None:
        lines.append(f"  latency    p50 {latency['p50']:,.0f} ms, p95 {latency['p95']:,.0f} ms")
    usage = summary["usage"]
    lines.append(f"  tokens     {usage['input_tokens']:,} in, {usage['output_tokens']:,} out")
    if summary["cost"] is not None:
        lines.append(f"  cost       {summary['cost']['amount']:,.4f} {summary['cost']['currency']}")
    if summary["retries"] or summary["resent_items"]:
        lines.append(f"  retries    {summary['retries']:,}; items sent again after a stop: {summary['resent_items']:,}")
    if trace:
        lines.append(f"  trace      {trace}")
    lines.append(f"  results    {_place(summary['output']['results'])}")
    lines.append(f"  errors     {summary['output']['errors']['uri']}")
    if (delivery := summary.get("delivery")) is not None:
        lines.append(f"  delivered  {_delivery(delivery)}")
    return "\n".join(lines)


def _place(row: dict[str, Any]) -> str:
    objects = row.get("objects")
    return str(row["uri"]) if objects is None else f"{row['uri']} ({objects:,} objects and a manifest)"


def _delivery(delivery: dict[str, Any]) -> str:
    lost = delivery["undelivered"]
    return f"{delivery['delivered']:,} results" + (
        f"; {lost:,} are in undelivered.jsonl, {delivery['error']}" if lost else ""
    )


def _sample(error: dict[str, Any]) -> str:
    message = str(error.get("sample_message", ""))
    return f"{error.get('sample_id', '?')}: {message if len(message) <= 100 else message[:99] + '…'}"


def duration(seconds: float) -> str:
    """Seconds for people: 3.2 s, 4 min 10 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
