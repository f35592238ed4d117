"""What kopf delivers, handed to the cache: a line each. Nothing is decided here.

`on.event` handlers write nothing to the objects, and want no index or finalizer.
"""

import contextvars
from typing import Any, cast

import kopf

from llmbatch_contract.wire import BATCH_LABEL
from llmbatch_operator.cache import Cache
from llmbatch_operator.endpoints.known import Endpoints
from llmbatch_operator.events import Event
from llmbatch_operator.facts import Body

_OURS = {BATCH_LABEL: kopf.PRESENT}


class Poster:
    """Posts Events from anywhere: kopf finds the way to its queue only in the context of a handler."""

    def __init__(self) -> None:
        self._context: contextvars.Context | None = None
        self._early: list[tuple[Body, Event]] = []
        """From before the first handler was called."""

    def note_context(self) -> None:
        """Called in handlers."""
        if self._context is None:
            self._context = contextvars.copy_context()
            for body, event in self._early:
                self(body, event)

    def __call__(self, body: Body, event: Event) -> None:
        """Post one Event about a batch."""
        if self._context is None:
            self._early.append((body, event))
            return
        about, reason = kopf.Body(cast("kopf.RawBody", body)), event.reason.value
        self._context.run(kopf.event, about, type=event.type, reason=reason, message=event.message)


def register(registry: kopf.OperatorRegistry, cache: Cache, endpoints: Endpoints, poster: Poster) -> None:
    """Let the caches hear of batches, their Jobs and their pods, and of endpoints."""

    @kopf.on.event("llmbatch.dev", "v1alpha1", "llmbatches", registry=registry)
    async def batch_changed(event: kopf.RawEvent, **_: Any) -> None:
        poster.note_context()
        (cache.drop_batch if event["type"] == "DELETED" else cache.put_batch)(dict(event["object"]))

    @kopf.on.event("llmbatch.dev", "v1alpha1", "llmendpoints", registry=registry)
    async def endpoint_changed(event: kopf.RawEvent, **_: Any) -> None:
        (endpoints.drop if event["type"] == "DELETED" else endpoints.put)(dict(event["object"]))

    @kopf.on.event("batch", "v1", "jobs", labels=_OURS, registry=registry)
    async def job_changed(event: kopf.RawEvent, **_: Any) -> None:
        (cache.drop_job if event["type"] == "DELETED" else cache.put_job)(dict(event["object"]))

    @kopf.on.event("", "v1", "pods", labels=_OURS, registry=registry)
    async def pod_changed(event: kopf.RawEvent, **_: Any) -> None:
        (cache.drop_pod if event["type"] == "DELETED" else cache.put_pod)(dict(event["object"]))
