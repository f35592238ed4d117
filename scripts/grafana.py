"""The parts of a Grafana dashboard, as the JSON that Grafana 11 and later read.

Used by the dashboards beside it. Whoever makes a dashboard lists rows of panels; where they stand follows from that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Json = dict[str, Any]

WIDTH = 24
"""Columns of Grafana's grid."""
SCHEMA = 39
"""`schemaVersion` of Grafana 11; later ones bring it up to theirs when they load it."""

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_PALETTE = {"mode": "palette-classic"}
_GREEN, _YELLOW, _RED = "green", "yellow", "red"


@dataclass(frozen=True)
class Query:
    """One expression and what its lines are called."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One picture."""

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    steps: tuple[tuple[str, float | None], ...] = ((_GREEN, None),)
    """Colours, each from a value on."""
    options: Json = field(default_factory=dict)
    custom: Json = field(default_factory=dict)
    limits: Json = field(default_factory=dict)
    """`min`, `max`, `decimals`."""
    overrides: tuple[Json, ...] = ()
    transformations: tuple[Json, ...] = ()


@dataclass(frozen=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]
    is_collapsed: bool = False


@dataclass(frozen=True)
class Choice:
    """A variable that is filled from the labels of a metric."""

    name: str
    label: str
    query: str


def lines(title: str, description: str, *queries: Query, unit: str = "short", **more: Any) -> Panel:
    """Values over time."""
    custom = {"lineWidth": 2, "fillOpacity": 8, "showPoints": "never", "spanNulls": False}
    return Panel(title, description, queries, unit, custom=custom, options=_legend(), limits={"min": 0}, **more)


def areas(title: str, description: str, *queries: Query, unit: str = "short", **more: Any) -> Panel:
    """Values over time that add up."""
    panel = lines(title, description, *queries, unit=unit, **more)
    stacking = {"mode": "normal", "group": "A"}
    return replace(panel, custom={**panel.custom, "lineWidth": 1, "fillOpacity": 50, "stacking": stacking})


def number(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    warn: float | None = None,
    alarm: float | None = None,
    **more: Any,
) -> Panel:
    """One value now, green until it asks for attention."""
    steps: list[tuple[str, float | None]] = [(_GREEN, None)]
    steps += [(colour, value) for colour, value in ((_YELLOW, warn), (_RED, alarm)) if value is not None]
    options = {
        "colorMode": "background" if len(steps) > 1 else "none",
        "graphMode": "area",
        "justifyMode": "auto",
        "textMode": "value_and_name" if len(queries) > 1 else "value",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return Panel(
        title,
        description,
        queries,
        unit,
        kind="stat",
        steps=tuple(steps),
        options=options,
        **{"width": 4, "height": 5, **more},
    )


def bars(title: str, description: str, query: Query, unit: str = "short", **more: Any) -> Panel:
    """One bar for each series, as they are now."""
    options = {
        "displayMode": "gradient",
        "orientation": "horizontal",
        "showUnfilled": True,
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    return Panel(title, description, (query,), unit, kind="bargauge", options=options, limits={"min": 0}, **more)


def text(title: str, content: str, *, width: int, height: int) -> Panel:
    """Words."""
    options = {"mode": "markdown", "content": content}
    return Panel(title, "", (), kind="text", width=width, height=height, options=options)


def dashboard(uid: str, title: str, description: str, choices: Sequence[Choice], rows: Sequence[Row]) -> Json:
    """The whole dashboard."""
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["llmbatch"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timepicker": {},
        "annotations": {"list": []},
        "fiscalYearStartMonth": 0,
        "links": [_links_to_the_others()],
        "templating": {"list": [_data_source(), *map(_variable, choices)]},
        "panels": _placed(rows),
    }


def _placed(rows: Sequence[Row]) -> list[Json]:
    """All rows below each other, panels side by side until a row is full."""
    placed: list[Json] = []
    top = 0
    for row in rows:
        heading = {
            "type": "row",
            "title": row.title,
            "collapsed": row.is_collapsed,
            "gridPos": _place(0, top, WIDTH, 1),
        }
        panels, top = _side_by_side(row.panels, top + 1)
        placed += [{**heading, "panels": panels}] if row.is_collapsed else [{**heading, "panels": []}, *panels]
    everything = [each for panel in placed for each in (panel, *panel.get("panels", ()))]
    for number_, panel in enumerate(everything, 1):
        panel["id"] = number_
    return placed


def _side_by_side(panels: Sequence[Panel], top: int) -> tuple[list[Json], int]:
    """Panels where they stand, and the line below them."""
    placed = []
    left = tallest = 0
    for panel in panels:
        if left + panel.width > WIDTH:
            left, top, tallest = 0, top + tallest, 0
        placed.append({**_panel(panel), "gridPos": _place(left, top, panel.width, panel.height)})
        left, tallest = left + panel.width, max(tallest, panel.height)
    return placed, top + tallest


def _place(left: int, top: int, width: int, height: int) -> Json:
    return {"x": left, "y": top, "w": width, "h": height}


def _panel(panel: Panel) -> Json:
    if panel.kind == "text":
        return {"type": "text", "title": panel.title, "transparent": True, "options": panel.options}
    is_now = panel.kind in ("bargauge", "table")
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "targets": [_target(place, query, panel, is_now) for place, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": list(panel.overrides)},
        "options": panel.options,
        "transformations": list(panel.transformations),
    }


def _target(place: int, query: Query, panel: Panel, is_now: bool) -> Json:
    return {
        "refId": chr(ord("A") + place),
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "instant": is_now,
        "range": not is_now,
        "format": "table" if panel.kind == "table" else "time_series",
    }


def _defaults(panel: Panel) -> Json:
    steps = [{"color": colour, "value": value} for colour, value in panel.steps]
    color = {"mode": "thresholds"} if panel.kind in ("stat", "bargauge", "table") else _PALETTE
    thresholds = {"mode": "absolute", "steps": steps}
    return {"unit": panel.unit, "color": color, "thresholds": thresholds, "custom": panel.custom, **panel.limits}


def _legend() -> Json:
    return {
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }


def _data_source() -> Json:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 1,
        "regex": "",
    }


def _variable(choice: Choice) -> Json:
    return {
        "name": choice.name,
        "label": choice.label,
        "type": "query",
        "datasource": SOURCE,
        "definition": choice.query,
        "query": {"qryType": 1, "query": choice.query, "refId": f"choices-{choice.name}"},
        "current": {},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 2,
        "regex": "",
        "sort": 1,
    }


def _links_to_the_others() -> Json:
    return {
        "title": "LLMBatch",
        "type": "dashboards",
        "tags": ["llmbatch"],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }
