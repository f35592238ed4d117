"""The numbers of endpoints as points, and each batch's share. They are taken in the event loop, every few seconds.

Only LLMEndpoints have series of their own, so that there are no more of these than somebody has created; what a batch
with an inline endpoint gets is told of the batch.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llmbatch_telemetry import names
from llmbatch_telemetry.meters import Attributes, Point
from llmbatch_telemetry.names import Metric

if TYPE_CHECKING:
    from llmbatch_contract.endpoint import Limits
    from llmbatch_contract.sharing import Amounts, EndpointFacts

_FIELDS = {
    "requests": "requests_per_minute",
    "tokens": "tokens_per_minute",
    "input_tokens": "input_tokens_per_minute",
    "concurrency": "concurrency",
}


@dataclass(frozen=True)
class Shared:
    """What one batch has of its endpoint."""

    endpoint: str
    """Name of the LLMEndpoint; empty if it is inline."""
    granted: Mapping[str, float]
    """By limit, where there is one."""
    waiting_workers: int


@dataclass
class EndpointSeries:
    """All endpoints that are in use. `points` and `of_batch` may be called from any thread."""

    start: float
    """Unix time from which on push-backs are counted."""
    _facts: "Mapping[str, EndpointFacts]" = field(default_factory=dict)
    _batches: Mapping[str, Shared] = field(default_factory=dict)
    _counts: Mapping[tuple[Metric, Attributes], float] = field(default_factory=dict)
    """Totals since the start: an endpoint that nobody uses for a while begins at 0 again, these do not."""

    def take(self, endpoints: "Iterable[tuple[str | None, EndpointFacts]]") -> None:
        """How all endpoints are now: those with the name of an LLMEndpoint, and inline ones."""
        facts = list(endpoints)
        named = {name: each for name, each in facts if name is not None}
        self._batches = {uid: shared for name, each in facts for uid, shared in _shared(name or "", each)}
        self._counts = {**self._counts, **dict(self._counted(named))}
        self._facts = named

    def of_batch(self, uid: str) -> Shared | None:
        """The share of a batch whose pods report."""
        return self._batches.get(uid)

    def points(self) -> Iterator[Point]:
        """Everything, as it was when it was taken last."""
        for name, facts in self._facts.items():
            for metric, attributes, value in _gauges(name, facts):
                yield Point(metric, attributes, value, self.start)
        for (metric, attributes), value in self._counts.items():
            yield Point(metric, attributes, value, self.start)

    def _counted(self, named: "Mapping[str, EndpointFacts]") -> Iterator[tuple[tuple[Metric, Attributes], float]]:
        for name, facts in named.items():
            before = dict(_counts(name, self._facts[name])) if name in self._facts else {}
            for key, count in _counts(name, facts):
                grown = count - before.get(key, 0)
                yield key, self._counts.get(key, 0) + (grown if grown >= 0 else count)


def _counts(name: str, facts: "EndpointFacts") -> Iterator[tuple[tuple[Metric, Attributes], float]]:
    for kind, count in facts.push_backs.items():
        yield (names.ENDPOINT_PUSH_BACKS, (name, kind.value)), count
    yield (names.ENDPOINT_SLOWDOWNS, (name,)), facts.slowdowns


def _gauges(name: str, facts: "EndpointFacts") -> Iterator[tuple[Metric, Attributes, float]]:
    limited = _limits(facts.effective)
    for metric, amounts in (
        (names.ENDPOINT_LIMIT, _limits(facts.limits)),
        (names.ENDPOINT_EFFECTIVE, limited),
        (names.ENDPOINT_GRANTED, _amounts(facts.granted, limited)),
        (names.ENDPOINT_USED, _amounts(facts.used, _FIELDS)),
    ):
        yield from ((metric, (name, limit), value) for limit, value in amounts.items())
    for metric, value in (
        (names.ENDPOINT_BATCHES, facts.batches),
        (names.ENDPOINT_PODS, facts.pods),
        (names.ENDPOINT_WAITING, facts.waiting_pods),
        (names.ENDPOINT_DOWN, int(facts.is_down)),
        (names.ENDPOINT_THROTTLED, int(facts.throttled_since_s is not None)),
        (names.ENDPOINT_BACKOFF, facts.backoff_s),
    ):
        yield metric, (name,), value


def _shared(name: str, facts: "EndpointFacts") -> Iterator[tuple[str, Shared]]:
    limited = _limits(facts.effective)
    for uid, share in facts.by_batch.items():
        yield uid, Shared(name, _amounts(share.granted, limited), share.waiting_pods)


def _limits(limits: "Limits") -> dict[str, float]:
    """Those that there are."""
    values = {name: getattr(limits, each) for name, each in _FIELDS.items()}
    return {name: value for name, value in values.items() if value is not None}


def _amounts(amounts: "Amounts", wanted: Iterable[str]) -> dict[str, float]:
    return {name: getattr(amounts, _FIELDS[name]) for name in wanted}
