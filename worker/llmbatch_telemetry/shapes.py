"""What each kind of span may carry, and what describes a process. `docs/telemetry.md` is made from it.

Nothing makes spans from these; tests hold what is sent against them.
"""

from dataclasses import dataclass

from llmbatch_telemetry import names
from llmbatch_telemetry.names import SpanName

RESOURCE_ATTRIBUTES = (
    names.SERVICE_NAME,
    names.SERVICE_VERSION,
    names.SERVICE_INSTANCE,
    names.NAMESPACE,
    names.POD,
    names.POD_UID,
    names.NODE,
    names.JOB,
    names.CONTAINER,
    names.BATCH,
    names.BATCH_UID,
    names.STAGE,
)
"""What describes the process that speaks; which of them it has depends on what it is."""


@dataclass(frozen=True)
class SpanShape:
    """What spans of one kind carry, besides the attributes of their resource."""

    name: str
    parent: str
    by: str
    """Whoever exports it."""
    description: str
    attributes: tuple[str, ...]


_COUNTS = (names.ITEMS, names.ITEMS_SUCCEEDED, names.ITEMS_FAILED, names.ITEMS_CANCELLED)
_BATCH_NAMES = (names.BATCH, names.BATCH_UID, names.NAMESPACE)
_PLACES = (names.POD, names.POD_UID, names.NODE, names.JOB, names.CONTAINER)

SPANS: tuple[SpanShape, ...] = (
    SpanShape(
        SpanName.BATCH,
        "the caller's span, if the batch has a `traceparent`",
        "operator, or the process of a local run",
        "The whole batch, from its creation to its end; exported when it has ended. Has a link to the batch whose dead "
        "letters it asks again.",
        (
            *_BATCH_NAMES,
            names.PHASE,
            names.REASON,
            names.GEN_AI_REQUEST_MODEL,
            names.SHARDS,
            *_COUNTS,
            names.ATTEMPTS,
            names.GEN_AI_INPUT_TOKENS,
            names.GEN_AI_OUTPUT_TOKENS,
            names.ERROR_TYPE,
        ),
    ),
    SpanShape(
        SpanName.PLAN,
        "`batch`",
        "the pod; the operator for a pod that ended without a word",
        "Reading and checking the input.",
        (*_BATCH_NAMES, names.STAGE, names.ITEMS, names.SHARDS, names.ERROR_TYPE, *_PLACES),
    ),
    SpanShape(
        SpanName.SHARD,
        "`batch`",
        "the pod; the operator for a pod that ended without a word",
        "One attempt at a shard: a pod, or a process of a local run.",
        (
            *_BATCH_NAMES,
            names.STAGE,
            names.SHARD,
            names.SHARD_ATTEMPT,
            *_COUNTS,
            names.ATTEMPTS,
            names.ERROR_TYPE,
            *_PLACES,
        ),
    ),
    SpanShape(
        SpanName.FINALIZE,
        "`batch`",
        "the pod; the operator for a pod that ended without a word",
        "Writing the outputs.",
        (*_BATCH_NAMES, names.STAGE, *_COUNTS, names.ATTEMPTS, names.ERROR_TYPE, *_PLACES),
    ),
    SpanShape(
        SpanName.RECONCILE,
        "`batch`",
        "operator",
        "A look at the batch that changed something. Its events are a new phase and the conditions that changed, with "
        "their reasons.",
        (*_BATCH_NAMES, names.PHASE, names.ACTION),
    ),
    SpanShape(
        "{operation} {model}",
        "`shard`",
        "the pod that ended the item",
        "One item, all attempts and the waits between them, as in `chat gpt-4.1-mini`. A client span.",
        (
            names.ITEM,
            names.ITEM_INDEX,
            names.ITEM_KEPT_FOR,
            names.ATTEMPTS,
            names.GEN_AI_OPERATION,
            names.GEN_AI_PROVIDER,
            names.GEN_AI_REQUEST_MODEL,
            names.GEN_AI_RESPONSE_MODEL,
            names.GEN_AI_RESPONSE_ID,
            names.GEN_AI_FINISH_REASONS,
            names.GEN_AI_INPUT_TOKENS,
            names.GEN_AI_OUTPUT_TOKENS,
            names.GEN_AI_CACHED_TOKENS,
            names.GEN_AI_INPUT,
            names.GEN_AI_OUTPUT,
            names.SERVER,
            names.SERVER_PORT,
            names.ERROR_TYPE,
        ),
    ),
    SpanShape(
        SpanName.ATTEMPT,
        "the item",
        "the pod that ended the item",
        "One HTTP request about an item. A client span; the model server's own spans are below it.",
        (
            names.ATTEMPT,
            names.WAITED,
            names.RETRY_AFTER,
            names.HTTP_METHOD,
            names.HTTP_STATUS,
            names.RESEND_COUNT,
            names.URL,
            names.SERVER,
            names.SERVER_PORT,
            names.ERROR_TYPE,
        ),
    ),
)
"""In the order of the tree."""
