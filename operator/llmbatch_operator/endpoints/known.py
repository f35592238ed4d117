"""The LLMEndpoints there are, as the watch tells. No I/O, no decisions.

`on_change` is told the name of one whose spec has changed, or that has come or gone; not of changes of its status,
which the operator itself writes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from llmbatch_contract.errors import ManifestError
from llmbatch_contract.llmendpoint import LLMEndpointSpec
from llmbatch_contract.validation import check_endpoint
from llmbatch_operator.facts import Body


@dataclass(frozen=True)
class KnownEndpoint:
    """One LLMEndpoint, as its users wrote it."""

    name: str
    uid: str
    generation: int
    spec: LLMEndpointSpec | None
    """None: it is not valid; `problems` says why."""
    problems: str = ""


class Endpoints:
    """All LLMEndpoints, by name."""

    def __init__(self, on_change: Callable[[str], None] = lambda _name: None) -> None:
        self.on_change = on_change
        self._known: dict[str, KnownEndpoint] = {}
        self._bodies: dict[str, Body] = {}

    def get(self, name: str) -> KnownEndpoint | None:
        """The endpoint of that name. The same object as long as its spec is the same."""
        return self._known.get(name)

    def body(self, name: str) -> Body | None:
        """The endpoint as the API server had it last."""
        return self._bodies.get(name)

    def __iter__(self) -> Iterator[KnownEndpoint]:
        return iter(list(self._known.values()))

    def put(self, body: Body) -> None:
        """An endpoint is there or has changed."""
        metadata = body["metadata"]
        name = metadata["name"]
        self._bodies[name] = body
        before = self._known.get(name)
        if before is None or (before.uid, before.generation) != (metadata["uid"], metadata["generation"]):
            self._known[name] = read_endpoint(body)
            self.on_change(name)

    def drop(self, body: Body) -> None:
        """An endpoint has gone; if there is another one of its name by now, that stays."""
        name, uid = body["metadata"]["name"], body["metadata"]["uid"]
        if (known := self._known.get(name)) is not None and known.uid == uid:
            del self._known[name], self._bodies[name]
            self.on_change(name)

    def known_uids(self) -> frozenset[str]:
        """Of all endpoints."""
        return frozenset(known.uid for known in self._known.values())

    def forget(self, gone: frozenset[str]) -> None:
        """Drop what a list no longer has."""
        for known in [each for each in self._known.values() if each.uid in gone]:
            self.drop({"metadata": {"name": known.name, "uid": known.uid}})


def read_endpoint(body: Body) -> KnownEndpoint:
    """Read an LLMEndpoint as the API server has it."""
    metadata = body["metadata"]
    name, uid, generation = metadata["name"], metadata["uid"], metadata["generation"]
    document = {part: body[part] for part in ("apiVersion", "kind", "metadata", "spec") if part in body}
    try:
        return KnownEndpoint(name, uid, generation, check_endpoint(document, "spec").spec)
    except ManifestError as error:
        return KnownEndpoint(name, uid, generation, None, error.sentences)
