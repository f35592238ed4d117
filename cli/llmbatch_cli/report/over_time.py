"""Charts over time: progress, throughput against the limits, latency. Pure."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from llmbatch_cli.report import wording
from llmbatch_cli.report.axes import Axis, amounts, magnitudes, seconds
from llmbatch_cli.report.charts import Mark, Tips, area, bar, below, figure, legend, level, line, plot, upright
from llmbatch_cli.report.markup import Html, el
from llmbatch_cli.report.series import PERCENTILES, Timeline, per_minute, running_sum, window_of

Document = dict[str, Any]

_FAR_BELOW = 2.5
"""A limit that is so many times the highest rate is only said, not drawn: the rate would be a line at the bottom."""
_LOG_FROM = 12
_HALF_BUCKET = 2 ** (1 / 16)
"""Latencies are counted in buckets that grow by 2^(1/8)."""
_MARGIN = 1.4
NOTHING_ENDED = el("p", "No item was answered, so there is nothing to draw.", class_="empty")


def progress(timeline: Timeline, total: int) -> Html:
    """Items that have ended, one above the other."""
    if timeline.is_empty:
        return figure("Progress", NOTHING_ENDED)
    good, bad = running_sum(timeline.succeeded), running_sum(timeline.failed)
    both = [a + b for a, b in zip(good, bad, strict=True)]
    edges = _edges(timeline, timeline.width_s)
    x, y = seconds(timeline.seconds), amounts(max(total, both[-1]), is_tight=True)
    lines = [
        (_span(timeline, a, b), f"succeeded {wording.whole(g)}", f"failed {wording.whole(f)}", _of(g + f, total))
        for (a, b), g, f in zip(pairwise(edges), good[1:], bad[1:], strict=True)
    ]
    chart = plot(
        x, y, area(x, y, edges, [0] * len(edges), good, "succeeded"), area(x, y, edges, good, both, "failed"),
        level(y, total, "limit"),
        label=f"Items over time: {wording.whole(both[-1])} of {wording.whole(total)} ended in "
        f"{wording.duration(timeline.seconds)}",
        tips=Tips(0, 1, lines), marks=[Mark(0, y.at(total), f"{wording.plural(total, 'item')}", "up")],
    )  # fmt: skip
    return figure("Progress", legend(("succeeded", "succeeded"), ("failed", "failed")), chart, note=_since(timeline))


def _of(ended: float, total: int) -> str:
    return f"{wording.share(ended, total)} of {wording.whole(total)}"


def throughput(timeline: Timeline, limits: Document, paused_s: float = 0.0) -> list[Html]:
    """Requests and tokens a minute, each against its limit; averages are of the time without pauses."""
    tokens = [a + b for a, b in zip(timeline.input_tokens, timeline.output_tokens, strict=True)]
    charts = [
        _rate("Requests a minute", timeline, timeline.attempts, limits.get("requestsPerMinute"), "requests", paused_s),
        _rate("Tokens a minute", timeline, tokens, limits.get("tokensPerMinute"), "tokens", paused_s),
    ]
    if (limit := limits.get("inputTokensPerMinute")) is not None:
        charts.append(_rate("Prompt tokens a minute", timeline, timeline.input_tokens, limit, "tokens", paused_s))
    return charts


def _rate(title: str, timeline: Timeline, values: Any, limit: float | None, kind: str, paused_s: float) -> Html:
    if timeline.is_empty or not any(values):
        return figure(title, el("p", f"There were no {kind}.", class_="empty"))
    window_s = window_of(timeline)
    rates, edges = per_minute(values, timeline.width_s, window_s), _edges(timeline, timeline.width_s)
    peak, mean = max(rates), 60 * sum(values) / (timeline.seconds - paused_s)
    is_drawn = limit is not None and limit <= _FAR_BELOW * peak
    x, y = seconds(timeline.seconds), amounts(max(peak, limit if limit is not None and is_drawn else 0))
    layers, marks = [below(x, y, edges, rates, f"soft {kind}"), line(x, y, edges, rates, kind)], []
    if limit is not None and is_drawn:
        layers.append(level(y, limit, "limit"))
        marks.append(Mark(0, y.at(limit), f"limit {wording.whole(limit)}", "up"))
    lines = [
        (_span(timeline, a, b), f"{wording.whole(r)} a minute")
        for r, (a, b) in zip(rates, pairwise(edges), strict=True)
    ]
    about = _against(mean, peak, limit, "on average, without pauses" if paused_s else "on average")
    chart = plot(x, y, *layers, label=f"{title} over time: {about}", tips=_tips(x, edges, lines), marks=marks)
    return figure(title, chart, note=f"{about} Averages over {wording.duration(window_s)}.")


def _against(mean: float, peak: float, limit: float | None, average: str) -> str:
    said = f"{wording.whole(mean)} {average}, {wording.whole(peak)} at most"
    if limit is None:
        return f"{said}; no limit is set."
    used = f"{said}; {wording.share(mean, limit)} of the limit of {wording.whole(limit)} was used on average."
    return used if peak <= limit else f"{used} A request counts when its item ends, so a peak may pass the limit."


def latency(timeline: Timeline) -> Html:
    """Percentiles over time."""
    known = [v for name in PERCENTILES for v in timeline.latency_ms[name] if v is not None]
    if not known:
        return figure("Latency over time", el("p", "No request has a latency.", class_="empty"))
    x, y = seconds(timeline.seconds), _latency_axis(min(known), max(known))
    edges = _edges(timeline, timeline.latency_width_s)
    layers = [line(x, y, edges, timeline.latency_ms[name], name) for name in reversed(PERCENTILES)]
    note = "Of the last request of each item." + (" Logarithmic." if y.is_log else "")
    chart = plot(
        x, y, *layers,
        label=f"Latency percentiles over time, from {wording.latency(min(known))} to {wording.latency(max(known))}",
        tips=_tips(x, edges, [_latency_line(timeline, i, a, b) for i, (a, b) in enumerate(pairwise(edges))]),
    )  # fmt: skip
    keys = legend(("p50", "p50, the median"), ("p95", "p95"), ("p99", "p99"))
    return figure("Latency over time", keys, chart, note=note)


def _latency_axis(least: float, most: float) -> Axis:
    if most > _LOG_FROM * least:
        return magnitudes(least / 1.2, most * 1.1, wording.short_latency)
    return amounts(most, wording.short_latency)


def _latency_line(timeline: Timeline, i: int, start: float, end: float) -> tuple[str, ...]:
    said = (f"{name} {wording.latency(timeline.latency_ms[name][i])}" for name in PERCENTILES)
    return (_span(timeline, start, end), *said)


def distribution(counts: list[list[float]], shares: dict[str, float | None]) -> Html:
    """How many requests took how long."""
    title = "How long requests took"
    if not counts:
        return figure(title, el("p", "No request has a latency.", class_="empty"))
    x = magnitudes(counts[0][0] / _MARGIN, counts[-1][0] * _MARGIN, wording.short_latency)
    y, total = amounts(max(count for _, count in counts)), sum(count for _, count in counts)
    bars = [
        bar(x.at(ms / _HALF_BUCKET), x.at(ms * _HALF_BUCKET), 0, y.at(count), "requests",
            f"about {wording.latency(ms)}: {wording.whole(count)} ({wording.share(count, total)})")
        for ms, count in counts
    ]  # fmt: skip
    known = [(name, shares[name]) for name in PERCENTILES if shares[name] is not None]
    lines = [upright(x, ms or 0, f"share {name}") for name, ms in known]
    marks = [
        Mark(x.at(ms or 0), 0.99 - 0.1 * row, f"{name} {wording.latency(ms)}", "beside")
        for row, (name, ms) in enumerate(known)
    ]
    chart = plot(x, y, *bars, *lines, label=f"{title}: median {wording.latency(shares['p50'])}", marks=marks)
    return figure(title, chart, note="Items by the time of their last request; the scale is logarithmic.")


def _edges(timeline: Timeline, width_s: float) -> list[float]:
    """Of buckets of a width; the last one ends with the timeline."""
    count = math.ceil(timeline.seconds / width_s - 1e-6)
    return [min(i * width_s, timeline.seconds) for i in range(count + 1)]


def _tips(x: Axis, edges: list[float], lines: Sequence[Sequence[str]]) -> Tips:
    """Columns as wide as the first; the last may be narrower, so they may end after the chart."""
    return Tips(0, (edges[1] - edges[0]) * len(lines) / x.high, lines)


def _span(timeline: Timeline, start: float, end: float) -> str:
    clock = timeline.clock(start)
    return f"{wording.duration(start)} – {wording.duration(end)}" + (f" ({clock} UTC)" if clock else "")


def _since(timeline: Timeline) -> str:
    return f"Time since {wording.moment(timeline.start.isoformat())}." if timeline.start is not None else ""
