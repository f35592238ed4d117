"""The dashboard of the operator: all batches at a glance, and whether the operator keeps up with them."""

from typing import Any

from grafana import Json, Panel, Query, Row, areas, dashboard, lines, number
from llmbatch_telemetry import names
from llmbatch_telemetry.names import Metric
from promql import (
    BATCH,
    Where,
    batches_per_minute,
    grouped,
    growth_of_batches,
    of_batch,
    of_batches,
    of_endpoint,
    per_minute,
    quantile,
    rate,
    series,
)

_OPERATOR = {"job": ".*llmbatch-operator"}
"""Its `service.name`; or what Prometheus makes of a PodMonitor of that name."""
_ENDED = of_batches(names.BATCH_ITEMS)
_SIZE = of_batch(names.BATCH_SIZE)
_TO_BATCH = (
    "/d/llmbatch-batch?${__url_time_range}"
    "&var-namespace=${__data.fields.Namespace}&var-batch=${__data.fields.Batch}&var-datasource=${datasource}"
)


def operator_dashboard() -> Json:
    """All batches, and the operator itself."""
    rows = (
        Row("Now", _now()),
        Row("Batches", _batches()),
        Row("Keeping up", _keeping_up()),
        Row("Kubernetes API", _api()),
        Row("Coordinator, store and process", _rest()),
    )
    about = "All batches at a glance, and whether the operator keeps up with them."
    return dashboard("llmbatch-operator", "LLMBatch / Operator", about, (), rows)


def _now() -> tuple[Panel, ...]:
    unfinished = "Pending|Planning|Running|Finalizing"
    store = f"max({series(names.STORE_USED)}) / max({series(names.STORE_LIMIT)})"
    return (
        number(
            "Unfinished batches",
            "Batches that are pending, planned, run or finalized; suspended ones are not counted.",
            Query(f"sum(max by (k8s_namespace_name, llmbatch_batch_phase) ({_batches_in(unfinished)}))"),
        ),
        number("Queue", "Batches that wait to be looked at.", Query(_queue()), warn=20, alarm=100),
        number(
            "Status staleness p90",
            "How old the news in a status is when it is written.",
            Query(quantile(0.9, names.STATUS_STALENESS)),
            unit="s",
            warn=4,
            alarm=5,
        ),
        number(
            "Event loop lag p99",
            "How late the operator comes to a task.",
            Query(quantile(0.99, names.LOOP_LAG, _OPERATOR)),
            unit="s",
            warn=0.25,
            alarm=1,
        ),
        number(
            "Built-in store",
            "How full it is. When it is full, batches wait.",
            Query(store),
            unit="percentunit",
            warn=0.7,
            alarm=0.85,
        ),
        number(
            "Telemetry lost",
            "Spans of all processes that were dropped in the last hour.",
            Query(f"sum(increase({series(names.DROPPED)}[1h]))"),
            warn=1,
        ),
    )


def _batches_in(phases: str) -> str:
    return series(names.BATCHES, {names.PHASE: phases})


def _queue() -> str:
    return f"max({series(names.QUEUE_LENGTH)})"


def _batches() -> tuple[Panel, ...]:
    failed = growth_of_batches(names.BATCH_ITEMS, {names.OUTCOME: "failed"}, window="10m")
    ended = growth_of_batches(names.BATCH_ITEMS, window="10m")
    columns = (
        Query(_SIZE),
        Query(f"{_ENDED} / ({_SIZE} > 0)"),
        Query(f"{ended} / 10"),
        Query(f"{failed} / ({ended} > 0)"),
        Query(of_batch(names.BATCH_TIME_LEFT)),
        Query(of_batch(names.BATCH_WORKERS)),
    )
    return (
        Panel(
            "Batches",
            "Batches that run, and those that ended lately. A click on a name opens its dashboard.",
            columns,
            kind="table",
            width=16,
            height=10,
            options={"showHeader": True, "cellHeight": "sm", "sortBy": [{"displayName": "Items", "desc": True}]},
            overrides=(
                *(_column(name, unit) for name, unit in _UNITS.items()),
                _override("Batch", links=[{"title": "Open its dashboard", "url": _TO_BATCH}]),
            ),
            transformations=({"id": "merge", "options": {}}, _renamed()),
        ),
        areas(
            "Batches by phase",
            "All batches that the API server has.",
            Query(
                "sum by (llmbatch_batch_phase) "
                f"(max by (k8s_namespace_name, llmbatch_batch_phase) ({series(names.BATCHES)}))",
                "{{llmbatch_batch_phase}}",
            ),
            height=10,
        ),
    )


_NAME = f"{{{{{names.prometheus_label(names.ENDPOINT)}}}}}"
_UNITS = {"Progress": "percentunit", "Failing": "percentunit", "Time left": "s"}


def _renamed() -> Json:
    """Names and order of the table's columns."""
    values = ("Items", "Progress", "Items/min", "Failing", "Time left", "Workers")
    keys = [names.prometheus_label(key) for key in BATCH]
    renames = {**dict(zip(keys, ("Namespace", "Batch"), strict=True)), **_named(values)}
    order = {key: place for place, key in enumerate(renames)}
    options = {"excludeByName": {"Time": True}, "indexByName": order, "renameByName": renames}
    return {"id": "organize", "options": options}


def _named(titles: tuple[str, ...]) -> dict[str, str]:
    return {f"Value #{chr(ord('A') + place)}": title for place, title in enumerate(titles)}


def _column(name: str, unit: str) -> Json:
    return _override(name, unit=unit)


def _override(column: str, **properties: Any) -> Json:
    return {
        "matcher": {"id": "byName", "options": column},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


def _keeping_up() -> tuple[Panel, ...]:
    outcome = "{{llmbatch_outcome}}"
    return (
        _seconds(
            "Status staleness",
            "How old the oldest news in a status is when it is written.",
            names.STATUS_STALENESS,
        ),
        lines("Queue", "Batches that wait to be looked at.", Query(_queue(), "batches")),
        _seconds(
            "Duration of looks",
            "One look at a batch: gather, decide, act.",
            names.RECONCILE_DURATION,
        ),
        areas(
            "Looks a minute",
            "By their outcome: unchanged, changed, error.",
            Query(per_minute(names.RECONCILE_DURATION, by=[names.OUTCOME], part="_count"), outcome),
        ),
        areas(
            "Actions a minute",
            "What the operator does for batches.",
            Query(
                per_minute(names.ACTIONS, by=[names.ACTION, names.OUTCOME]), "{{llmbatch_action}} {{llmbatch_outcome}}"
            ),
        ),
        lines(
            "Items a minute, all batches",
            "Items that end in a minute.",
            Query(batches_per_minute(names.BATCH_ITEMS, by=[names.OUTCOME]), outcome),
        ),
        lines(
            "Batches that are held",
            "By what holds them: see the same reasons in docs/states.md.",
            Query(
                grouped("count", of_batch(names.BATCH_HELD, by=[names.REASON]), [names.REASON]), "{{llmbatch_reason}}"
            ),
        ),
        lines(
            "Requests of LLMEndpoints against their limits",
            "Requests a minute, of the limit that holds. A click on Endpoint, at the top, shows one of them.",
            Query(f"{_requests(names.ENDPOINT_USED)} / ({_requests(names.ENDPOINT_EFFECTIVE)} > 0)", _NAME),
            unit="percentunit",
        ),
        lines(
            "Webhooks a minute",
            "Those that were told, and those that were given up.",
            Query(per_minute(names.NOTIFICATIONS, by=[names.OUTCOME]), outcome),
        ),
    )


def _requests(metric: names.Metric) -> str:
    return of_endpoint(metric, {names.LIMIT: "requests"})


def _api() -> tuple[Panel, ...]:
    return (
        areas(
            "Calls a second",
            "Calls of the API server. They do not depend on the number of items.",
            Query(
                rate(names.API_DURATION, by=[names.VERB, names.RESOURCE], part="_count"),
                "{{llmbatch_api_verb}} {{llmbatch_api_resource}}",
            ),
        ),
        lines(
            "Duration of calls, p99",
            "By verb.",
            Query(quantile(0.99, names.API_DURATION, by=[names.VERB]), "{{llmbatch_api_verb}}"),
            unit="s",
        ),
        lines(
            "Refused calls a minute",
            "Calls that the API server answered with 4xx or 5xx. A few 404 and 409 are ordinary.",
            Query(
                per_minute(
                    names.API_DURATION, {names.HTTP_STATUS: "[45].."}, by=[names.HTTP_STATUS, names.VERB], part="_count"
                ),
                "{{llmbatch_api_verb}} {{http_response_status_code}}",
            ),
        ),
    )


def _rest() -> tuple[Panel, ...]:
    return (
        areas(
            "Reports a second",
            "Reports of workers, by what became of them.",
            Query(rate(names.REPORTS, by=[names.OUTCOME]), "{{llmbatch_outcome}}"),
        ),
        _seconds(
            "Report lag",
            "How much later than it was asked for a report came.",
            names.REPORT_LAG,
        ),
        _seconds(
            "Event loop lag",
            "How late the operator comes to a task.",
            names.LOOP_LAG,
            _OPERATOR,
        ),
        lines(
            "Built-in store",
            "Bytes in use, and how many may be. When it is full, batches wait until some are deleted.",
            Query(f"max({series(names.STORE_USED)})", "used"),
            Query(f"max({series(names.STORE_LIMIT)})", "limit"),
            unit="bytes",
        ),
        lines(
            "Telemetry that was lost",
            "Spans a second that a full queue or a failing collector has cost, by process.",
            Query(rate(names.DROPPED, by=["job", names.SIGNAL]), "{{job}} {{llmbatch_signal}}"),
        ),
    )


def _seconds(title: str, description: str, metric: Metric, where: Where | None = None) -> Panel:
    """How long something takes: half of the times, and nearly always."""
    p50, p99 = (Query(quantile(share, metric, where), f"p{100 * share:.0f}") for share in (0.5, 0.99))
    return lines(title, description, p50, p99, unit="s")
