"""Stretches of time in which nothing was answered: the batch was held, had no pods, or its endpoint was away. Pure.

`report.json` does not say what held a batch; but whether a worker was at it while nothing was answered follows from the
attempts at shards.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llmbatch_cli.report import wording
from llmbatch_cli.report.markup import NOTHING, Html, el, join
from llmbatch_cli.report.series import Timeline
from llmbatch_cli.report.wording import when_of

Document = dict[str, Any]

_LEAST_S = 60.0
_LEAST_WITH_WORKERS_S = 300.0
"""A slow model may take minutes for an answer."""
_MOST_SHOWN = 5


@dataclass(frozen=True)
class Pause:
    """One of them, in seconds since the start."""

    start: float
    end: float
    has_workers: bool

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.end - self.start


def find_pauses(timeline: Timeline, shards: Document) -> list[Pause]:
    """All that are worth a word, in order."""
    spans = list(_spans(timeline, shards))
    found = (_pause(start, end, spans) for start, end in _quiet(timeline))
    return [p for p in found if p.seconds >= (_LEAST_WITH_WORKERS_S if p.has_workers else _LEAST_S)]


def paused_s(pauses: Sequence[Pause]) -> float:
    """How long nothing was done."""
    return sum(pause.seconds for pause in pauses)


def pauses_told(pauses: Sequence[Pause], timeline: Timeline) -> Html:
    """A sentence, and the longest ones."""
    if not pauses:
        return NOTHING
    total = wording.duration(paused_s(pauses))
    longest = sorted(sorted(pauses, key=lambda p: -p.seconds)[:_MOST_SHOWN], key=lambda p: p.start)
    left = len(pauses) - len(longest)
    return join(
        el("p", f"Nothing was answered for {total} of {wording.duration(timeline.seconds)}:"),
        el("ul", *(el("li", _words(pause, timeline)) for pause in longest)),
        el("p", f"and {wording.plural(left, 'shorter pause')}", class_="note") if left else NOTHING,
    )


def _words(pause: Pause, timeline: Timeline) -> str:
    since, until = timeline.clock(pause.start), timeline.clock(pause.end)
    clock = f" ({since} – {until} UTC)" if since else ""
    why = "workers were waiting" if pause.has_workers else "it was held, or had no workers"
    return f"{wording.duration(pause.seconds)} from {wording.duration(pause.start)} on{clock}: {why}"


def _quiet(timeline: Timeline) -> Iterator[tuple[float, float]]:
    """Where all buckets are empty."""
    busy = [any(each) for each in zip(timeline.succeeded, timeline.failed, timeline.attempts, strict=True)]
    for is_busy, run in itertools.groupby(range(len(busy)), key=lambda i: busy[i]):
        if not is_busy:
            numbers = list(run)
            yield numbers[0] * timeline.width_s, (numbers[-1] + 1) * timeline.width_s


def _spans(timeline: Timeline, shards: Document) -> Iterator[tuple[float, float]]:
    """When attempts began, and when they wrote last."""
    for attempt in (attempt for row in shards["shown"] for attempt in row["attempts"]):
        begin, end = when_of(attempt["claimed_at"]), when_of(attempt["last_record_at"])
        if timeline.start is not None and begin is not None and end is not None:
            yield (begin - timeline.start).total_seconds(), (end - timeline.start).total_seconds()


def _pause(start: float, end: float, spans: Sequence[tuple[float, float]]) -> Pause:
    middle = (start + end) / 2
    return Pause(start, end, any(begin < middle < last for begin, last in spans))
