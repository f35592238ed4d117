"""Every name that leaves this program as telemetry: metrics, spans, attributes. `docs/telemetry.md` is made from it.

Where OpenTelemetry has a convention, its name stands here: https://opentelemetry.io/docs/specs/semconv/ and, for
`gen_ai.*`, https://github.com/open-telemetry/semantic-conventions-genai. All else is `llmbatch.*`.
"""

from dataclasses import dataclass
from enum import StrEnum

# Attributes of resources, spans and data points.
SERVICE_NAME = "service.name"
"""`llmbatch-worker`, `llmbatch-operator`, or `llmbatch` for a run on one machine."""
SERVICE_VERSION = "service.version"
"""Version of LLMBatch."""
SERVICE_INSTANCE = "service.instance.id"
"""One process: of a worker pod its uid; the same for every pod of the operator, which goes on with the totals."""
NAMESPACE = "k8s.namespace.name"
"""Namespace of the batch and its pods; of the operator's own resource, the operator's."""
POD = "k8s.pod.name"
"""Name of the pod."""
POD_UID = "k8s.pod.uid"
"""Uid of the pod."""
NODE = "k8s.node.name"
"""Node that the pod runs on."""
JOB = "k8s.job.name"
"""Job that the pod belongs to."""
CONTAINER = "k8s.container.name"
"""Container that speaks."""

BATCH = "llmbatch.batch.name"
"""Name of the batch."""
BATCH_UID = "llmbatch.batch.uid"
"""Uid of the batch."""
PHASE = "llmbatch.batch.phase"
"""Phase of the batch, as in its status."""
STAGE = "llmbatch.stage"
"""What a pod is for: `plan`, `canary`, `shard`, `finalize`, or `run` for all of it."""
SHARD = "llmbatch.shard"
"""Number of the shard, from 0."""
SHARD_ATTEMPT = "llmbatch.shard.attempt"
"""Which attempt at the shard, from 1."""
SHARDS = "llmbatch.shards"
"""Number of shards."""
ITEM = "llmbatch.item.id"
"""Id of the item."""
ITEM_INDEX = "llmbatch.item.index"
"""Place of the item in the input, from 0."""
ITEM_KEPT_FOR = "llmbatch.item.kept_for"
"""Why the item has a span: `sampled`, `failed` or `slow`."""
ATTEMPT = "llmbatch.attempt"
"""Which request about the item, from 1."""
ATTEMPTS = "llmbatch.attempts"
"""Number of requests."""
WAITED = "llmbatch.limit.wait"
"""Seconds that the request waited at the gate before it was sent."""
RETRY_AFTER = "llmbatch.retry_after"
"""Seconds until the item was to be asked again."""
ITEMS = "llmbatch.items"
"""Number of items."""
ITEMS_SUCCEEDED = "llmbatch.items.succeeded"
"""Items that succeeded."""
ITEMS_FAILED = "llmbatch.items.failed"
"""Items that failed."""
ITEMS_CANCELLED = "llmbatch.items.cancelled"
"""Items that were cancelled."""
OUTCOME = "llmbatch.outcome"
"""What came of it; each metric says which values it takes."""
CATEGORY = "llmbatch.category"
"""Failure category, as in dead letters and the status."""
REASON = "llmbatch.reason"
"""Reason of the condition that tells how the batch stands or ended, or what holds it."""
ACTION = "llmbatch.action"
"""What the operator did: of metrics the kind of action, of spans all actions in words."""
OPERATION = "llmbatch.operation"
"""Call of the store: `get`, `put`, `list` and so on."""
BUFFER = "llmbatch.buffer"
"""Which items: `read` (ahead), `waiting` (to be asked again) or `unwritten`."""
LIMIT = "llmbatch.limit"
"""Which limit: `requests`, `tokens`, `input_tokens` or `concurrency`; of a budget `cost` or `tokens`."""
ENDPOINT = "llmbatch.endpoint.name"
"""Name of the LLMEndpoint; absent where the endpoint is inline."""
PUSH_BACK = "llmbatch.push_back"
"""How the endpoint pushed back: `rate_limited`, `overloaded` or `slow`."""
CURRENCY = "llmbatch.currency"
"""Currency of the pricing."""
SIGNAL = "llmbatch.signal"
"""What was dropped: `spans`."""
VERB = "llmbatch.api.verb"
"""Verb of a call of the Kubernetes API server."""
RESOURCE = "llmbatch.api.resource"
"""Resource that was called for."""

ERROR_TYPE = "error.type"
"""Failure category, kind of error, or how a pod ended; absent where nothing failed."""
HTTP_METHOD = "http.request.method"
"""Always `POST` to endpoints."""
HTTP_STATUS = "http.response.status_code"
"""Status of the answer; absent where none came."""
RESEND_COUNT = "http.request.resend_count"
"""How many requests about the item there were before; absent on the first one."""
URL = "url.full"
"""Address that was asked, without credentials and query."""
SERVER = "server.address"
"""Host of the endpoint."""
SERVER_PORT = "server.port"
"""Port of the endpoint."""
GEN_AI_OPERATION = "gen_ai.operation.name"
"""`chat`, `text_completion` or `embeddings`."""
GEN_AI_PROVIDER = "gen_ai.provider.name"
"""Whose API it is, by the endpoint's host."""
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
"""Model that was asked for."""
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"
"""Model that answered."""
GEN_AI_RESPONSE_ID = "gen_ai.response.id"
"""The endpoint's id of the answer."""
GEN_AI_FINISH_REASONS = "gen_ai.response.finish_reasons"
"""Why the model stopped."""
GEN_AI_INPUT_TOKENS = "gen_ai.usage.input_tokens"
"""Tokens of the prompt, those of earlier attempts included."""
GEN_AI_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
"""Tokens of the answer, those of earlier attempts included."""
GEN_AI_CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
"""Part of the input tokens that the endpoint had cached."""
GEN_AI_TOKEN_TYPE = "gen_ai.token.type"
"""`input` or `output`; of a batch's totals also `cached` and `reasoning`."""
GEN_AI_INPUT = "gen_ai.input.messages"
"""The messages sent, as JSON, cut. Only with `captureContent`."""
GEN_AI_OUTPUT = "gen_ai.output.messages"
"""The answer, as JSON, cut. Only with `captureContent`."""


class SpanName(StrEnum):
    """Names of spans; those of items are `{operation} {model}`, as the GenAI conventions have it."""

    BATCH = "batch"
    """The whole batch, from its creation to its end. Exported when it has ended."""
    PLAN = "plan"
    """Reading and checking the input."""
    SHARD = "shard"
    """One attempt at a shard: a pod, or one of the processes of a local run."""
    FINALIZE = "finalize"
    """Writing the outputs."""
    RECONCILE = "reconcile"
    """A look of the operator at the batch that changed something."""
    ATTEMPT = "POST"
    """One HTTP request about an item, named by its method."""


class Kind(StrEnum):
    """What a metric is."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, eq=False)
class Metric:
    """One metric. Compared by identity, so that it is a quick key."""

    name: str
    kind: Kind
    unit: str
    """UCUM, as in `s`, `By`, `{item}`."""
    description: str
    attributes: tuple[str, ...] = ()
    """Of its data points, in the order in which values are given."""
    bounds: tuple[float, ...] = ()
    """Upper bounds of the buckets of a histogram."""
    is_whole: bool = True
    """Of a counter: its values are whole numbers."""


_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_SHORT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
_OF_BATCH = (NAMESPACE, BATCH)
_CALL = (GEN_AI_OPERATION, GEN_AI_PROVIDER, GEN_AI_REQUEST_MODEL, SERVER, SERVER_PORT)

# A batch as a whole, by the operator or by the process of a local run: equal to its status, whatever pods went under.
BATCH_ITEMS = Metric(
    "llmbatch.batch.items",
    Kind.COUNTER,
    "{item}",
    "Items that have ended, by outcome: succeeded, failed (with a category) or cancelled.",
    (*_OF_BATCH, OUTCOME, CATEGORY),
)
BATCH_SIZE = Metric("llmbatch.batch.size", Kind.GAUGE, "{item}", "Items of the input.", _OF_BATCH)
BATCH_ATTEMPTS = Metric(
    "llmbatch.batch.attempts", Kind.COUNTER, "{attempt}", "Requests about items that have ended.", _OF_BATCH
)
BATCH_TOKENS = Metric(
    "llmbatch.batch.tokens",
    Kind.COUNTER,
    "{token}",
    "Tokens used: input and output; cached is a part of input, reasoning of output.",
    (*_OF_BATCH, GEN_AI_TOKEN_TYPE),
)
BATCH_COST = Metric(
    "llmbatch.batch.cost",
    Kind.COUNTER,
    "{currency}",
    "What the tokens cost, where the endpoint has pricing.",
    (*_OF_BATCH, CURRENCY),
    is_whole=False,
)
BATCH_RESENT = Metric(
    "llmbatch.batch.resent_items",
    Kind.COUNTER,
    "{item}",
    "Items that may have been sent twice because a pod died.",
    _OF_BATCH,
)
BATCH_IN_FLIGHT = Metric(
    "llmbatch.batch.in_flight", Kind.GAUGE, "{request}", "Requests in flight, by the last reports.", _OF_BATCH
)
BATCH_WAITING = Metric(
    "llmbatch.batch.waiting",
    Kind.GAUGE,
    "{item}",
    "Items that wait to be asked again, by the category they failed with.",
    (*_OF_BATCH, CATEGORY),
)
BATCH_WORKERS = Metric("llmbatch.batch.workers", Kind.GAUGE, "{worker}", "Workers that report.", _OF_BATCH)
BATCH_TIME_LEFT = Metric(
    "llmbatch.batch.time_left", Kind.GAUGE, "s", "Time until the end at the present rate.", _OF_BATCH
)
BATCH_AGE = Metric(
    "llmbatch.batch.age", Kind.GAUGE, "s", "Time since the batch was started, until it has ended.", _OF_BATCH
)
BATCH_IDLE = Metric(
    "llmbatch.batch.idle", Kind.GAUGE, "s", "Time since an item ended last, of batches that run.", _OF_BATCH
)
BATCH_HELD = Metric(
    "llmbatch.batch.held",
    Kind.GAUGE,
    "s",
    "How long something has held the batch, by the reason in its conditions; absent while nothing does.",
    (*_OF_BATCH, REASON),
)
BATCH_ALARM = Metric(
    "llmbatch.batch.alarm",
    Kind.GAUGE,
    "s",
    "How long an alarm about the batch has lasted: ErrorRateHigh, Slow or Stalled; absent while there is none.",
    (*_OF_BATCH, REASON),
)
BATCH_BUDGET_USED = Metric(
    "llmbatch.batch.budget.used",
    Kind.GAUGE,
    "{share}",
    "Share of the budget that is spent, without the requests in flight; absent without a budget.",
    (*_OF_BATCH, LIMIT),
)
BATCH_GRANTED = Metric(
    "llmbatch.batch.granted",
    Kind.GAUGE,
    "{limit}",
    "What the batch's pods may use of their endpoint, in a minute or at once; absent where there is no limit.",
    (*_OF_BATCH, LIMIT, ENDPOINT),
)
BATCH_WAITING_WORKERS = Metric(
    "llmbatch.batch.waiting_workers",
    Kind.GAUGE,
    "{worker}",
    "Workers that wait for a share of a limit.",
    _OF_BATCH,
)

# An LLMEndpoint, by the operator, while a batch that uses it runs. Inline endpoints are told of by their batches alone.
ENDPOINT_LIMIT = Metric(
    "llmbatch.endpoint.limit",
    Kind.GAUGE,
    "{limit}",
    "The limit as the LLMEndpoint states it, a minute or at once; absent where it states none.",
    (ENDPOINT, LIMIT),
)
ENDPOINT_EFFECTIVE = Metric(
    "llmbatch.endpoint.effective_limit",
    Kind.GAUGE,
    "{limit}",
    "The limit that holds: the stated one, or less where the endpoint has pushed back; absent where there is none.",
    (ENDPOINT, LIMIT),
)
ENDPOINT_GRANTED = Metric(
    "llmbatch.endpoint.granted",
    Kind.GAUGE,
    "{limit}",
    "What all pods together may use; absent where there is no limit.",
    (ENDPOINT, LIMIT),
)
ENDPOINT_USED = Metric(
    "llmbatch.endpoint.used",
    Kind.GAUGE,
    "{limit}",
    "What all pods together have used in the last seconds, by their reports.",
    (ENDPOINT, LIMIT),
)
ENDPOINT_BATCHES = Metric("llmbatch.endpoint.batches", Kind.GAUGE, "{batch}", "Batches whose pods report.", (ENDPOINT,))
ENDPOINT_PODS = Metric("llmbatch.endpoint.pods", Kind.GAUGE, "{pod}", "Pods that report.", (ENDPOINT,))
ENDPOINT_WAITING = Metric(
    "llmbatch.endpoint.waiting_pods", Kind.GAUGE, "{pod}", "Pods that wait for a share of a limit.", (ENDPOINT,)
)
ENDPOINT_PUSH_BACKS = Metric(
    "llmbatch.endpoint.push_backs",
    Kind.COUNTER,
    "{request}",
    "Requests to which the endpoint has answered that too much is sent, by how it said so.",
    (ENDPOINT, PUSH_BACK),
)
ENDPOINT_SLOWDOWNS = Metric(
    "llmbatch.endpoint.slowdowns",
    Kind.COUNTER,
    "{slowdown}",
    "Bursts of push-backs, each of which made all pods slower once.",
    (ENDPOINT,),
)
ENDPOINT_DOWN = Metric(
    "llmbatch.endpoint.down",
    Kind.GAUGE,
    "{endpoint}",
    "1 while the endpoint answers nothing and one pod asks now and then, else 0.",
    (ENDPOINT,),
)
ENDPOINT_THROTTLED = Metric(
    "llmbatch.endpoint.throttled",
    Kind.GAUGE,
    "{endpoint}",
    "1 while less is sent than the stated limits allow, because the endpoint pushed back, else 0.",
    (ENDPOINT,),
)
ENDPOINT_BACKOFF = Metric(
    "llmbatch.endpoint.backoff",
    Kind.GAUGE,
    "s",
    "For how long nothing is sent from now on, because the endpoint asked for it.",
    (ENDPOINT,),
)

# One worker: what it asks and what it waits for. These end with their process.
CALL_DURATION = Metric(
    "gen_ai.client.operation.duration",
    Kind.HISTOGRAM,
    "s",
    "From the first request about an item to its end, waits between attempts included.",
    (*_CALL, ERROR_TYPE),
    _SECONDS,
)
TOKEN_USAGE = Metric(
    "gen_ai.client.token.usage",
    Kind.HISTOGRAM,
    "{token}",
    "Tokens of answers.",
    (*_CALL, GEN_AI_TOKEN_TYPE),
    _TOKENS,
)
REQUEST_DURATION = Metric(
    "http.client.request.duration",
    Kind.HISTOGRAM,
    "s",
    "One request to the endpoint, until its answer is read.",
    (HTTP_METHOD, SERVER, SERVER_PORT, HTTP_STATUS, ERROR_TYPE),
    _SECONDS,
)
LIMIT_WAIT = Metric(
    "llmbatch.worker.limit.wait",
    Kind.HISTOGRAM,
    "s",
    "How long a request waited at the gate: for concurrency, for a limit, or because the endpoint asked for it.",
    (SERVER, SERVER_PORT),
    _SHORT_SECONDS,
)
WORKER_ITEMS = Metric(
    "llmbatch.worker.items",
    Kind.COUNTER,
    "{item}",
    "Items that this worker has ended, by outcome and category.",
    (OUTCOME, CATEGORY),
)
WORKER_ATTEMPTS = Metric(
    "llmbatch.worker.attempts",
    Kind.COUNTER,
    "{attempt}",
    "Requests that have ended, by what came of them: succeeded, or a category.",
    (OUTCOME, HTTP_STATUS),
)
WORKER_IN_FLIGHT = Metric("llmbatch.worker.in_flight", Kind.GAUGE, "{request}", "Requests in flight.")
WORKER_CONCURRENCY = Metric(
    "llmbatch.worker.concurrency", Kind.GAUGE, "{request}", "Requests that may be in flight at present."
)
WORKER_GRANT = Metric(
    "llmbatch.worker.grant",
    Kind.GAUGE,
    "{limit}",
    "What the worker may use in a minute; absent where there is no limit.",
    (LIMIT,),
)
WORKER_BUFFER = Metric(
    "llmbatch.worker.buffered",
    Kind.GAUGE,
    "{item}",
    "Items read ahead, waiting to be asked again, or answered but not yet written down.",
    (BUFFER,),
)
STORE_DURATION = Metric(
    "llmbatch.store.operation.duration",
    Kind.HISTOGRAM,
    "s",
    "Calls of the store of working objects and outputs.",
    (OPERATION, ERROR_TYPE),
    _SHORT_SECONDS,
)
REPORT_DURATION = Metric(
    "llmbatch.worker.report.duration",
    Kind.HISTOGRAM,
    "s",
    "Reports to the coordinator, until the reply.",
    (ERROR_TYPE,),
    _SHORT_SECONDS,
)

# The operator.
BATCHES = Metric("llmbatch.batches", Kind.GAUGE, "{batch}", "Batches, by phase.", (NAMESPACE, PHASE))
RECONCILE_DURATION = Metric(
    "llmbatch.operator.reconcile.duration",
    Kind.HISTOGRAM,
    "s",
    "One look at a batch, by its outcome: unchanged, changed, error.",
    (OUTCOME,),
    _SHORT_SECONDS,
)
ACTIONS = Metric(
    "llmbatch.operator.actions", Kind.COUNTER, "{action}", "What the operator did for batches.", (ACTION, OUTCOME)
)
QUEUE_LENGTH = Metric("llmbatch.operator.queue", Kind.GAUGE, "{batch}", "Batches that wait to be looked at.")
API_DURATION = Metric(
    "llmbatch.operator.api.duration",
    Kind.HISTOGRAM,
    "s",
    "Calls of the Kubernetes API server.",
    (VERB, RESOURCE, HTTP_STATUS),
    _SHORT_SECONDS,
)
STATUS_STALENESS = Metric(
    "llmbatch.operator.status.staleness",
    Kind.HISTOGRAM,
    "s",
    "Age of the oldest report that a status is the first to show, when it is written.",
    (),
    _SHORT_SECONDS,
)
REPORTS = Metric("llmbatch.operator.reports", Kind.COUNTER, "{report}", "Reports of workers.", (OUTCOME,))
REPORT_LAG = Metric(
    "llmbatch.operator.report.lag",
    Kind.HISTOGRAM,
    "s",
    "How much later than it was asked for a report came.",
    (),
    _SHORT_SECONDS,
)
NOTIFICATIONS = Metric(
    "llmbatch.operator.notifications",
    Kind.COUNTER,
    "{notification}",
    "Webhooks, by what came of telling them: delivered, or failed for good.",
    (OUTCOME,),
)
STORE_USED = Metric("llmbatch.operator.store.used", Kind.GAUGE, "By", "Bytes in the built-in store.")
STORE_LIMIT = Metric("llmbatch.operator.store.limit", Kind.GAUGE, "By", "Bytes that the built-in store may hold.")

# Every process.
LOOP_LAG = Metric(
    "llmbatch.event_loop.lag",
    Kind.HISTOGRAM,
    "s",
    "How much later than asked for the event loop came to a task.",
    (),
    _SHORT_SECONDS,
)
DROPPED = Metric(
    "llmbatch.telemetry.dropped",
    Kind.COUNTER,
    "{record}",
    "Spans that a full queue or a failing collector has cost.",
    (SIGNAL,),
)

METRICS: tuple[Metric, ...] = tuple(value for value in globals().values() if isinstance(value, Metric))


def prometheus_name(metric: Metric) -> str:
    """The name in Prometheus, as OpenTelemetry's exporters and Prometheus' own receiver make it.

    https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
    """
    unit = {"s": "_seconds", "By": "_bytes"}.get(metric.unit, "")
    total = "_total" if metric.kind is Kind.COUNTER else ""
    return f"{metric.name.replace('.', '_')}{unit}{total}"


def prometheus_label(attribute: str) -> str:
    """The name of an attribute as a label in Prometheus."""
    return attribute.replace(".", "_")
