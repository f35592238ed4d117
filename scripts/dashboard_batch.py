"""The dashboard of one batch: wait, raise a limit, or stop?"""

from grafana import Choice, Json, Panel, Query, Row, areas, bars, dashboard, lines, number, text
from llmbatch_telemetry import names
from promql import HERE, batches_per_minute, growth_of_batches, of_batch, of_batches, per_minute, quantile, rate, series

_GUIDE = """\
| You see | Do |
|---|---|
| **Time left** is fine, **Failing** is green | wait |
| **Limit in use** is near 100 %, **Slots in use** is not | raise the endpoint's limit, or wait |
| **Slots in use** is near 100 %, **Limit in use** is not | raise `concurrency` or `parallelism`: answers are slow |
| **Failing** is red | suspend or cancel it; see *Failures* below for what is wrong |
| **Nothing ended for** is red, or **Held** shows a line | `kubectl llmbatch status` says what it waits for |
"""
_REASON, _LIMIT = "{{llmbatch_reason}}", "{{llmbatch_limit}}"
_ENDED = of_batches(names.BATCH_ITEMS, HERE)
_SIZE = of_batch(names.BATCH_SIZE, HERE)
_COST = of_batch(names.BATCH_COST, HERE, by=[names.CURRENCY])


def _of_outcome(outcome: str) -> str:
    return of_batches(names.BATCH_ITEMS, {**HERE, names.OUTCOME: outcome})


def _failing(window: str) -> str:
    """The share of items that failed, of those that ended lately."""
    failed = growth_of_batches(names.BATCH_ITEMS, {**HERE, names.OUTCOME: "failed"}, window=window)
    ended = growth_of_batches(names.BATCH_ITEMS, HERE, window=window)
    return f"({failed} / ({ended} > 0)) or 0 * {_SIZE}"


def _granted(limit: str) -> str:
    return f"sum({series(names.WORKER_GRANT, {**HERE, names.LIMIT: limit})})"


_TOKENS_PER_MINUTE = per_minute(names.TOKEN_USAGE, HERE, part="_sum")
_SLOTS_IN_USE = f"sum({series(names.WORKER_IN_FLIGHT, HERE)}) / sum({series(names.WORKER_CONCURRENCY, HERE)})"


def batch_dashboard() -> Json:
    """One batch, from its counts down to its pods."""
    choices = (
        Choice("namespace", "Namespace", _labels(names.NAMESPACE)),
        Choice("batch", "Batch", _labels(names.BATCH, where={names.NAMESPACE: "$namespace"})),
    )
    rows = (
        Row("Wait, raise a limit or stop?", _first_look()),
        Row("Progress", _progress()),
        Row("Holds and shares", _holds()),
        Row("Failures", _failures()),
        Row("Requests and waits", _requests()),
        Row("Tokens and cost", _tokens()),
        Row("Workers", _workers(), is_collapsed=True),
    )
    return dashboard("llmbatch-batch", "LLMBatch / Batch", "One batch: how far, how fast, what fails.", choices, rows)


def _labels(attribute: str, where: dict[str, str] | None = None) -> str:
    return f"label_values({series(names.BATCH_SIZE, where)}, {names.prometheus_label(attribute)})"


def _first_look() -> tuple[Panel, ...]:
    return (
        number(
            "Progress",
            "Items that have ended, of all items of the input.",
            Query(f"{_ENDED} / ({_SIZE} > 0)"),
            unit="percentunit",
        ),
        number(
            "Time left",
            "Until the last item has ended, at the present rate. Empty when the batch does not run.",
            Query(of_batch(names.BATCH_TIME_LEFT, HERE)),
            unit="s",
        ),
        number(
            "Failing",
            "Share of failed items among those that ended in the last 10 minutes.",
            Query(_failing("10m")),
            unit="percentunit",
            warn=0.01,
            alarm=0.1,
        ),
        number(
            "Limit in use",
            "Requests and tokens a minute, of what the workers are granted of the endpoint's limits. Near 100 % the "
            "limit sets the pace. Empty where there is no limit.",
            Query(f"{per_minute(names.WORKER_ATTEMPTS, HERE)} / {_granted('requests')}", "requests"),
            Query(f"{_TOKENS_PER_MINUTE} / {_granted('tokens')}", "tokens"),
            unit="percentunit",
            warn=0.9,
        ),
        number(
            "Slots in use",
            "Requests in flight, of those that may be in flight at present. Near 100 % the endpoint's latency sets the "
            "pace.",
            Query(_SLOTS_IN_USE),
            unit="percentunit",
            warn=0.9,
        ),
        number(
            "Nothing ended for",
            "Time since an item ended last, while the batch runs.",
            Query(of_batch(names.BATCH_IDLE, HERE)),
            unit="s",
            warn=120,
            alarm=600,
        ),
        text("How to read this row", _GUIDE, width=24, height=7),
    )


def _progress() -> tuple[Panel, ...]:
    return (
        areas(
            "Items",
            "Items that have ended, by outcome. They add up to the size of the input at the end.",
            Query(of_batches(names.BATCH_ITEMS, HERE, by=[names.OUTCOME]), "{{llmbatch_outcome}}"),
            width=10,
        ),
        lines(
            "Items a minute",
            "Items that end in a minute, failed ones included, and what the batch has done on average.",
            Query(batches_per_minute(names.BATCH_ITEMS, HERE), "now"),
            Query(f"60 * {_ENDED} / ({of_batch(names.BATCH_AGE, HERE)} > 0)", "average since the start"),
            width=8,
        ),
        lines(
            "Time left",
            "Until the last item has ended, at the rate of each moment. It should fall as fast as time passes.",
            Query(of_batch(names.BATCH_TIME_LEFT, HERE), "time left"),
            unit="s",
            width=6,
        ),
    )


def _holds() -> tuple[Panel, ...]:
    return (
        lines(
            "Held",
            "How long what has held the batch: its budget, its window, approval, its endpoint, something in its way.",
            Query(of_batch(names.BATCH_HELD, HERE, by=[names.REASON]), _REASON),
            unit="s",
            width=6,
        ),
        lines(
            "Alarms",
            "How long too many items have failed, it has been slow, or nothing was answered.",
            Query(of_batch(names.BATCH_ALARM, HERE, by=[names.REASON]), _REASON),
            unit="s",
            width=6,
        ),
        lines(
            "Budget spent",
            "Share of `budget`. At 100 % the batch is held.",
            Query(of_batch(names.BATCH_BUDGET_USED, HERE, by=[names.LIMIT]), _LIMIT),
            unit="percentunit",
            width=6,
        ),
        lines(
            "Share of the endpoint",
            "What the batch may use of each limit, in a minute or at once, and the workers that wait for a share.",
            Query(of_batch(names.BATCH_GRANTED, HERE, by=[names.LIMIT]), _LIMIT),
            Query(of_batch(names.BATCH_WAITING_WORKERS, HERE), "waiting workers"),
            width=6,
        ),
    )


def _failures() -> tuple[Panel, ...]:
    failed = {**HERE, names.OUTCOME: "failed"}
    return (
        bars(
            "Dead letters by category",
            "Items that have failed for good. The reference tells what each category means.",
            Query(of_batches(names.BATCH_ITEMS, failed, by=[names.CATEGORY]), "{{llmbatch_category}}"),
            width=6,
        ),
        areas(
            "Requests a minute by what came of them",
            "Every request, retried ones included: succeeded, or the failure category.",
            Query(per_minute(names.WORKER_ATTEMPTS, HERE, by=[names.OUTCOME]), "{{llmbatch_outcome}}"),
            width=8,
        ),
        areas(
            "Items that wait to be asked again",
            "By the category that the last request failed with.",
            Query(of_batches(names.BATCH_WAITING, HERE, by=[names.CATEGORY]), "{{llmbatch_category}}"),
            width=6,
        ),
        number(
            "Requests per item",
            "All requests about items that have ended, divided by these. 1 is no retries at all.",
            Query(f"{of_batch(names.BATCH_ATTEMPTS, HERE)} / ({_ENDED} > 0)"),
            warn=1.5,
            alarm=3,
            height=8,
        ),
    )


def _requests() -> tuple[Panel, ...]:
    return (
        lines(
            "Latency of requests",
            "From sending a request to having read its answer.",
            *_quantiles(names.REQUEST_DURATION),
            unit="s",
        ),
        lines(
            "Duration of items",
            "From the first request about an item to its end, waits between attempts included.",
            *_quantiles(names.CALL_DURATION),
            unit="s",
        ),
        lines(
            "Waits at the gate",
            "How long a request waited for a free slot, for a limit, or because the endpoint asked for it.",
            *_quantiles(names.LIMIT_WAIT),
            unit="s",
        ),
        lines(
            "Requests in flight",
            "In flight, and how many may be. With `concurrency` unset the latter adapts to the endpoint. What the "
            "operator knows by reports is there without metrics of workers, too.",
            Query(f"sum({series(names.WORKER_IN_FLIGHT, HERE)})", "in flight"),
            Query(f"sum({series(names.WORKER_CONCURRENCY, HERE)})", "allowed"),
            Query(of_batch(names.BATCH_IN_FLIGHT, HERE), "in flight, by the last reports"),
        ),
        lines(
            "Requests a minute against the limit",
            "What is sent, and what all workers together are granted.",
            Query(per_minute(names.WORKER_ATTEMPTS, HERE), "requests"),
            Query(_granted("requests"), "granted"),
        ),
        lines(
            "Tokens a minute against the limit",
            "Tokens of answers and their prompts, and what all workers together are granted.",
            Query(_TOKENS_PER_MINUTE, "tokens"),
            Query(_granted("tokens"), "granted"),
        ),
    )


def _quantiles(metric: names.Metric) -> tuple[Query, ...]:
    return tuple(Query(quantile(share / 100, metric, HERE), f"p{share}") for share in (50, 95, 99))


def _tokens() -> tuple[Panel, ...]:
    by_kind = "{{gen_ai_token_type}}"
    finished = f"ignoring({names.prometheus_label(names.CURRENCY)}) group_left ()"
    return (
        lines(
            "Tokens",
            "All tokens so far. Cached is a part of input, reasoning of output.",
            Query(of_batches(names.BATCH_TOKENS, HERE, by=[names.GEN_AI_TOKEN_TYPE]), by_kind),
        ),
        lines(
            "Tokens a minute",
            "By kind. Cached is a part of input, reasoning of output.",
            Query(batches_per_minute(names.BATCH_TOKENS, HERE, by=[names.GEN_AI_TOKEN_TYPE]), by_kind),
        ),
        lines(
            "Cost",
            "What the tokens cost so far, in the currency of the endpoint's pricing. Empty without pricing.",
            Query(_COST, "{{llmbatch_currency}}"),
            width=4,
        ),
        number(
            "Cost at the end",
            "If the other items cost as much as those that have ended.",
            Query(f"{_COST} / {finished} ({_ENDED} > 0) * {finished} {_SIZE}"),
            height=8,
        ),
    )


def _workers() -> tuple[Panel, ...]:
    return (
        lines(
            "Workers",
            "Workers that report.",
            Query(of_batch(names.BATCH_WORKERS, HERE), "workers"),
        ),
        lines(
            "Items a minute by pod",
            "Items that each pod ends.",
            Query(per_minute(names.WORKER_ITEMS, HERE, by=[names.POD]), "{{k8s_pod_name}}"),
        ),
        lines(
            "Slots in use by pod",
            "Requests in flight in each pod.",
            Query(f"sum by (k8s_pod_name) ({series(names.WORKER_IN_FLIGHT, HERE)})", "{{k8s_pod_name}}"),
        ),
        lines(
            "Buffers",
            "Items read ahead, waiting to be asked again, or answered but not yet written down.",
            Query(f"sum by (llmbatch_buffer) ({series(names.WORKER_BUFFER, HERE)})", "{{llmbatch_buffer}}"),
        ),
        lines(
            "Calls of the store",
            "How long calls of the store take, p95.",
            Query(quantile(0.95, names.STORE_DURATION, HERE, by=[names.OPERATION]), "{{llmbatch_operation}}"),
            unit="s",
        ),
        lines(
            "Reports and event loop",
            "How long reports to the coordinator take, and how late the event loop comes to a task, p99.",
            Query(quantile(0.99, names.REPORT_DURATION, HERE), "report"),
            Query(quantile(0.99, names.LOOP_LAG, HERE), "event loop lag"),
            unit="s",
        ),
        lines(
            "Store errors a minute",
            "Calls of the store that failed. Workers try again.",
            Query(
                per_minute(
                    names.STORE_DURATION, {**HERE, names.ERROR_TYPE: ".+"}, by=[names.ERROR_TYPE], part="_count"
                ),
                "{{error_type}}",
            ),
        ),
        lines(
            "Telemetry that was lost",
            "Spans a second that a full queue or a failing collector has cost. Metrics lose nothing: they are totals.",
            Query(rate(names.DROPPED, HERE, by=[names.SIGNAL]), "{{llmbatch_signal}}"),
        ),
        number(
            "Sent twice",
            "Items that may have been sent twice because a pod died.",
            Query(of_batch(names.BATCH_RESENT, HERE)),
            width=8,
            height=8,
        ),
    )
