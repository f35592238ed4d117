"""Charts as SVG. Pure.

The picture is stretched to the room there is, lines keep their width; texts stand beside it as HTML, so that they are
as large on a phone as on a screen. With JavaScript, values show under the pointer; without it nothing is missing.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from llmbatch_cli.report.axes import Axis
from llmbatch_cli.report.markup import NOTHING, Html, el, join
from llmbatch_cli.report.series import Gapped, Numbers

SIZE = 1000
"""Of the picture's own coordinates, in both directions."""
_TOO_NEAR = 0.94


@dataclass(frozen=True)
class Tips:
    """What shows under the pointer: a line of texts for each of equally wide columns."""

    start: float
    end: float
    """Where the columns begin and end, from 0 to 1."""
    lines: Sequence[Sequence[str]]

    def data(self) -> str:
        """For the script."""
        return json.dumps([round(self.start, 4), round(self.end, 4), [list(line) for line in self.lines]])


@dataclass(frozen=True)
class Mark:
    """A text in a chart at a place from 0 to 1 in both directions."""

    x: float
    y: float
    text: str
    kind: str


def plot(
    x: Axis, y: Axis | None, *layers: Html, label: str, height: str = "", tips: Tips | None = None,
    marks: Iterable[Mark] = (), grid_x: bool = False,
) -> Html:  # fmt: skip
    """A chart with its axes; `label` says in a sentence what is to be seen."""
    lines = [_line(0, y.at(v), 1, y.at(v), "grid") for v, _ in y.ticks] if y is not None else []
    lines += [_line(x.at(v), 0, x.at(v), 1, "grid") for v, _ in x.ticks] if grid_x else []
    picture = el(
        "svg", *lines, *layers, viewBox=f"0 0 {SIZE} {SIZE}", preserveAspectRatio="none", role="img", aria_label=label
    )
    return el(
        "div",
        el("div", *(_label(y.at(v), t, "bottom") for v, t in y.ticks), class_="ys") if y is not None else NOTHING,
        el("div", picture, *map(_mark, marks), class_="canvas", data_tips=tips.data() if tips is not None else None),
        el("div", *(_label(x.at(v), t, "left") for v, t in x.ticks if x.at(v) < _TOO_NEAR), class_="xs"),
        class_="plot" if y is not None else "plot bare",
        style=f"--height:{height}" if height else None,
    )


def line(x: Axis, y: Axis, xs: Numbers, values: Gapped, kind: str) -> Html:
    """A line through values at the middles of buckets whose edges are `xs`. Where one is missing there is a gap."""
    parts: list[str] = []
    for run in _runs(values):
        first, last = run[0], run[-1]
        points = [(xs[first], values[first])]
        points += [((xs[i] + xs[i + 1]) / 2, values[i]) for i in run] if len(run) > 1 else []
        points.append((xs[last + 1], values[last]))
        parts.append("M" + "L".join(_point(x.at(a), y.at(b or 0)) for a, b in points))
    return el("path", d="".join(parts), class_=f"line {kind}") if parts else NOTHING


def area(x: Axis, y: Axis, xs: Numbers, low: Numbers, high: Numbers, kind: str) -> Html:
    """What lies between two curves."""
    there = [_point(x.at(a), y.at(b)) for a, b in zip(xs, high, strict=True)]
    back = [_point(x.at(a), y.at(b)) for a, b in reversed(list(zip(xs, low, strict=True)))]
    return el("path", d=f"M{'L'.join([*there, *back])}Z", class_=f"area {kind}")


def below(x: Axis, y: Axis, xs: Numbers, values: Numbers, kind: str) -> Html:
    """The area below a line through the middles of buckets."""
    middles = [(a + b) / 2 for a, b in pairwise(xs)]
    edges, heights = [xs[0], *middles, xs[-1]], [values[0], *values, values[-1]]
    return area(x, y, edges, [0] * len(edges), heights, kind)


def bar(left: float, right: float, bottom: float, top: float, kind: str, title: str = "", least: float = 0) -> Html:
    """A rectangle; places from 0 to 1."""
    width = max((right - left) * SIZE, least * SIZE)
    return el(
        "rect", *([el("title", title)] if title else []),
        x=_number(min(left * SIZE, SIZE - width)), y=_number((1 - top) * SIZE), width=_number(width),
        height=_number((top - bottom) * SIZE), class_=f"bar {kind}",
    )  # fmt: skip


def level(y: Axis, value: float, kind: str) -> Html:
    """A line from left to right."""
    return _line(0, y.at(value), 1, y.at(value), kind)


def upright(x: Axis, value: float, kind: str) -> Html:
    """A line from the bottom to the top."""
    return _line(x.at(value), 0, x.at(value), 1, kind)


def legend(*entries: tuple[str, str]) -> Html:
    """What the colours mean: kind and text of each."""
    return el("ul", *(el("li", el("i", class_=f"key {kind}"), name) for kind, name in entries), class_="legend")


def figure(title: str, *content: object, note: object = "") -> Html:
    """A chart with its title and a note."""
    below_ = el("p", note, class_="note") if note else NOTHING
    return el("figure", el("figcaption", title), join(*content), below_)


def _runs(values: Gapped) -> list[list[int]]:
    runs: list[list[int]] = [[]]
    for i, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(i)
    return [run for run in runs if run]


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Html:
    return el("path", d=f"M{_point(x1, y1)}L{_point(x2, y2)}", class_=f"line {kind}")


def _point(x: float, y: float) -> str:
    return f"{_number(x * SIZE)} {_number((1 - y) * SIZE)}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _label(place: float, words: str, side: str) -> Html:
    return el("span", words, style=f"{side}:{100 * place:.2f}%")


def _mark(mark: Mark) -> Html:
    side = "left" if mark.x <= 0.5 else "right"
    place = mark.x if side == "left" else 1 - mark.x
    style = f"{side}:{100 * place:.2f}%;bottom:{100 * mark.y:.2f}%"
    return el("span", mark.text, class_=f"mark {mark.kind} {side}", style=style)
