"""The dashboard of one endpoint: what all batches together ask of it, how it bears that, and how it is shared out."""

from grafana import Choice, Json, Panel, Query, Row, areas, dashboard, lines, number
from llmbatch_telemetry import names
from promql import BATCH, grouped, of_batches, of_endpoint, per_minute, quantile, rate, series

_HERE = {names.SERVER: "$endpoint"}
_SHARED = {names.ENDPOINT: "$shared"}
_STATUS = "{{http_response_status_code}} {{error_type}}"
_MODEL = "{{gen_ai_request_model}}"
_LIMITS = ("requests", "tokens", "input_tokens", "concurrency")
_GRANTED = {"Requests a minute": "requests", "Tokens a minute": "tokens"}
_OF_BATCH = "{{k8s_namespace_name}}/{{llmbatch_batch_name}}"


def _requests(where: dict[str, str] | None = None, *by: str) -> str:
    return per_minute(names.REQUEST_DURATION, {**_HERE, **(where or {})}, by=by, part="_count")


def _share(where: dict[str, str]) -> str:
    """The share of requests with these labels, of all; 0 where there are none of them."""
    return f"(({_requests(where)}) or vector(0)) / ({_requests()} > 0)"


def _seconds_a_second(metric: names.Metric, *by: str) -> str:
    """Seconds spent in a second: that is how many are at it at once, on average."""
    return rate(metric, _HERE, by=by, part="_sum")


def endpoint_dashboard() -> Json:
    """One endpoint, over all batches that use it."""
    known = series(names.REQUEST_DURATION, part="_count")
    shared = series(names.ENDPOINT_PODS)
    choices = (
        Choice("endpoint", "Endpoint", f"label_values({known}, {names.prometheus_label(names.SERVER)})"),
        Choice("shared", "LLMEndpoint", f"label_values({shared}, {names.prometheus_label(names.ENDPOINT)})"),
    )
    rows = (
        Row("Now", _now()),
        Row("Requests", _of_requests()),
        Row("Tokens", _of_tokens()),
        Row("Batches", _of_batches()),
        Row("The LLMEndpoint", _of_llmendpoint()),
        Row("Its limits", _of_limits()),
    )
    about = "One endpoint: what all batches together ask of it, and how it bears that."
    return dashboard("llmbatch-endpoint", "LLMBatch / Endpoint", about, choices, rows)


def _now() -> tuple[Panel, ...]:
    users = grouped("count", rate(names.REQUEST_DURATION, _HERE, by=BATCH, part="_count") + " > 0", ())
    return (
        number("Requests a minute", "All requests, whatever came of them.", Query(_requests())),
        number(
            "Throttled",
            "Share of requests that were answered with 429.",
            Query(_share({names.HTTP_STATUS: "429"})),
            unit="percentunit",
            warn=0.01,
            alarm=0.1,
        ),
        number(
            "Failing",
            "Share of requests with any failure, 429 included.",
            Query(_share({names.ERROR_TYPE: ".+"})),
            unit="percentunit",
            warn=0.02,
            alarm=0.2,
        ),
        number(
            "Latency p95",
            "From sending a request to having read its answer.",
            Query(quantile(0.95, names.REQUEST_DURATION, _HERE)),
            unit="s",
        ),
        number(
            "Requests in flight",
            "On average: the seconds that requests took, in each second.",
            Query(_seconds_a_second(names.REQUEST_DURATION)),
        ),
        number("Batches", "Batches that ask it at present.", Query(users)),
    )


def _of_requests() -> tuple[Panel, ...]:
    return (
        areas(
            "Requests a minute by status",
            "HTTP status, and the failure category where there was one; without a status no answer came.",
            Query(_requests(None, names.HTTP_STATUS, names.ERROR_TYPE), _STATUS),
            width=12,
        ),
        lines(
            "Latency of requests",
            "From sending a request to having read its answer.",
            *(Query(quantile(share / 100, names.REQUEST_DURATION, _HERE), f"p{share}") for share in (50, 95, 99)),
            unit="s",
            width=12,
        ),
        lines(
            "Throttled a minute",
            "Requests that were answered with 429. Workers of all batches slow down at each of them.",
            Query(_requests({names.HTTP_STATUS: "429"}), "429"),
        ),
        lines(
            "Requests at once",
            "Requests in flight, and those held back at the gate (one of each worker at most): on average.",
            Query(_seconds_a_second(names.REQUEST_DURATION), "in flight"),
            Query(_seconds_a_second(names.LIMIT_WAIT), "at the gate"),
        ),
        lines(
            "Waits at the gate",
            "How long a request waited for a free slot, for a limit, or because the endpoint asked for it.",
            *(Query(quantile(share / 100, names.LIMIT_WAIT, _HERE), f"p{share}") for share in (50, 95, 99)),
            unit="s",
        ),
    )


def _of_tokens() -> tuple[Panel, ...]:
    return (
        areas(
            "Tokens a minute",
            "Input and output of all answers.",
            Query(
                per_minute(names.TOKEN_USAGE, _HERE, by=[names.GEN_AI_TOKEN_TYPE], part="_sum"),
                "{{gen_ai_token_type}}",
            ),
        ),
        areas(
            "Tokens a minute by model",
            "Input and output of all answers.",
            Query(per_minute(names.TOKEN_USAGE, _HERE, by=[names.GEN_AI_REQUEST_MODEL], part="_sum"), _MODEL),
        ),
        lines(
            "Duration of items by model",
            "From the first request about an item to its end, waits between attempts included, p95.",
            Query(quantile(0.95, names.CALL_DURATION, _HERE, by=[names.GEN_AI_REQUEST_MODEL]), _MODEL),
            unit="s",
        ),
    )


def _of_batches() -> tuple[Panel, ...]:
    return (
        areas(
            "Requests a minute by batch",
            "How the endpoint is shared out.",
            Query(_requests(None, *BATCH), _OF_BATCH),
        ),
        areas(
            "Tokens a minute by batch",
            "How the endpoint is shared out.",
            Query(per_minute(names.TOKEN_USAGE, _HERE, by=BATCH, part="_sum"), _OF_BATCH),
        ),
        areas(
            "Requests in flight by batch",
            "On average: the seconds that requests took, in each second.",
            Query(_seconds_a_second(names.REQUEST_DURATION, *BATCH), _OF_BATCH),
        ),
    )


def _limit(metric: names.Metric, limit: str) -> str:
    return of_endpoint(metric, {**_SHARED, names.LIMIT: limit})


def _of_llmendpoint() -> tuple[Panel, ...]:
    in_use = [f"{_limit(names.ENDPOINT_USED, each)} / {_limit(names.ENDPOINT_EFFECTIVE, each)}" for each in _LIMITS]
    return (
        number(
            "Down", "1 while it answers nothing and one pod asks now and then.", *_now_of(names.ENDPOINT_DOWN), alarm=1
        ),
        number(
            "Pushed back",
            "1 while less is sent than its limits allow, because it has pushed back.",
            *_now_of(names.ENDPOINT_THROTTLED),
            warn=1,
        ),
        number(
            "Asks to wait",
            "For how long nobody sends anything from now on, as it asked (`Retry-After`).",
            *_now_of(names.ENDPOINT_BACKOFF),
            unit="s",
            warn=1,
        ),
        number(
            "Limits in use",
            "What was used in the last seconds of the limits that hold. Near 100 % they set the pace.",
            *(Query(expression, limit) for limit, expression in zip(_LIMITS, in_use, strict=True)),
            unit="percentunit",
            width=8,
        ),
        number("Waiting pods", "Pods that wait for a share of a limit.", *_now_of(names.ENDPOINT_WAITING), warn=1),
        lines(
            "Batches and pods",
            "Those that report, and those of the pods that wait for a share of a limit.",
            Query(of_endpoint(names.ENDPOINT_BATCHES, _SHARED), "batches"),
            Query(of_endpoint(names.ENDPOINT_PODS, _SHARED), "pods"),
            Query(of_endpoint(names.ENDPOINT_WAITING, _SHARED), "waiting pods"),
        ),
        lines(
            "Push-backs a minute",
            "Requests that it answered with too much, by how it said so.",
            Query(per_minute(names.ENDPOINT_PUSH_BACKS, _SHARED, by=[names.PUSH_BACK]), "{{llmbatch_push_back}}"),
        ),
        lines(
            "Slowdowns a minute",
            "Bursts of push-backs: each made all pods slower once.",
            Query(per_minute(names.ENDPOINT_SLOWDOWNS, _SHARED), "slowdowns"),
        ),
    )


def _now_of(metric: names.Metric) -> tuple[Query]:
    return (Query(of_endpoint(metric, _SHARED)),)


def _of_limits() -> tuple[Panel, ...]:
    titles = ("Requests a minute and their limit", "Tokens a minute and their limit",
              "Prompt tokens a minute and their limit", "Requests in flight and their limit")  # fmt: skip
    panels = [_against_limit(title, limit) for title, limit in zip(titles, _LIMITS, strict=True)]
    shares = [_by_batch(f"{title} granted by batch", limit) for title, limit in _GRANTED.items()]
    return (*panels, *shares)


def _against_limit(title: str, limit: str) -> Panel:
    return lines(
        title,
        "Used and granted over all pods. The limit is the stated one; below it is what holds after push-backs.",
        Query(_limit(names.ENDPOINT_USED, limit), "used"),
        Query(_limit(names.ENDPOINT_GRANTED, limit), "granted"),
        Query(_limit(names.ENDPOINT_EFFECTIVE, limit), "limit that holds"),
        Query(_limit(names.ENDPOINT_LIMIT, limit), "stated limit"),
        width=12,
    )


def _by_batch(title: str, limit: str) -> Panel:
    granted = of_batches(names.BATCH_GRANTED, {**_SHARED, names.LIMIT: limit})
    return areas(title, "How the limit is shared out at present.", Query(granted, _OF_BATCH), width=12)
