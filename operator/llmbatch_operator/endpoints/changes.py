"""What a change of an LLMEndpoint means: its limits hold at once, and its batches are looked at. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass

from llmbatch_operator.endpoints.known import Endpoints
from llmbatch_operator.facts import endpoint_name
from llmbatch_operator.sessions import Sessions


@dataclass
class EndpointChanges:
    """Called by `Endpoints` with the name of each that has changed, come or gone."""

    endpoints: Endpoints
    sessions: Sessions
    wake: Callable[[str], None]
    """Told the uids of batches that refer to it and have not ended."""

    def __call__(self, name: str) -> None:
        """Pass it on."""
        known = self.endpoints.get(name)
        if known is not None and known.spec is not None:
            self.sessions.pools.set_limits(name, known.spec.limits)
        cache = self.sessions.cache
        for uid in [b.body["metadata"]["uid"] for b in cache.all() if b.body and endpoint_name(b.body) == name]:
            if not cache.has_ended(uid):
                self.wake(uid)
