"""Writes the status of every LLMEndpoint, and tells Events about it. Called every few seconds; the only writer.

A status that is as it was costs no call.
"""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pydantic

from llmbatch_contract.llmendpoint import LLMEndpointStatus
from llmbatch_contract.sharing import EndpointFacts
from llmbatch_contract.spec import API_VERSION
from llmbatch_operator.cache import Cache
from llmbatch_operator.endpoints.endpoint_conditions import EndpointEvent, endpoint_events
from llmbatch_operator.endpoints.endpoint_status import endpoint_status, twins_of
from llmbatch_operator.endpoints.known import Endpoints, KnownEndpoint
from llmbatch_operator.facts import Body, endpoint_name
from llmbatch_operator.kube import CallError, Kube

logger = logging.getLogger("llmbatch.endpoints")

_EVENTS_NAMESPACE = "default"
"""Where Kubernetes keeps Events about what is in no namespace."""
_COMPONENT = "llmbatch"


@dataclass
class EndpointKeeper:
    """Looks at LLMEndpoints."""

    kube: Kube
    endpoints: Endpoints
    cache: Cache
    facts_of: Callable[[str], EndpointFacts | None]
    """How an endpoint is used; None while no pod asks it."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _written: dict[str, LLMEndpointStatus] = field(default_factory=dict)
    """By uid."""
    _failed: set[str] = field(default_factory=set)

    async def look(self) -> None:
        """Bring every status up to date. Errors of the API server are logged, and the next look tries again."""
        users = _users(self.cache)
        there = list(self.endpoints)
        self._written = {known.uid: self._written[known.uid] for known in there if known.uid in self._written}
        for known in there:
            try:
                await self._keep(known, users[known.name])
            except CallError as error:
                level = logging.DEBUG if known.uid in self._failed else logging.WARNING
                self._failed.add(known.uid)
                logger.log(level, "LLMEndpoint %s: %s", known.name, error)
            else:
                self._failed.discard(known.uid)

    async def _keep(self, known: KnownEndpoint, batches: int) -> None:
        old = self._written.get(known.uid) or read_endpoint_status(self.endpoints.body(known.name) or {})
        facts, twins = self.facts_of(known.name), twins_of(known, self.endpoints)
        new = endpoint_status(known, facts, batches=batches, twins=twins, old=old, now=self.now())
        if new == old or await self.kube.write_endpoint_status(known.name, known.uid, new.dump()) is None:
            return
        self._written[known.uid] = new
        for event in endpoint_events(old.conditions if old is not None else [], new.conditions):
            logger.info("LLMEndpoint %s: %s: %s", known.name, event.reason, event.message)
            await self.kube.create_event(event_body(known, event, self.now()))


def read_endpoint_status(body: Body) -> LLMEndpointStatus | None:
    """The status of a body; None where there is none, or one with words of a newer operator."""
    try:
        return LLMEndpointStatus.model_validate(body["status"]) if body.get("status") else None
    except pydantic.ValidationError:
        return None


def event_body(known: KnownEndpoint, event: EndpointEvent, now: datetime) -> Body:
    """An Event as `kubectl describe` looks for it: about an object without a namespace."""
    at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{known.name}.", "namespace": _EVENTS_NAMESPACE},
        "involvedObject": {"apiVersion": API_VERSION, "kind": "LLMEndpoint", "name": known.name, "uid": known.uid},
        "type": event.type,
        "reason": event.reason.value,
        "message": event.message,
        "source": {"component": _COMPONENT},
        "reportingComponent": _COMPONENT,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }


def _users(cache: Cache) -> Counter[str]:
    """How many batches that have not ended refer to each LLMEndpoint."""
    running = [known.body for known in cache.all() if known.body and not cache.has_ended(known.body["metadata"]["uid"])]
    return Counter(name for body in running if (name := endpoint_name(body)) is not None)
