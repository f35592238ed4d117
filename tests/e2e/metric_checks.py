"""The numbers of a batch as metrics, and as status and summary have them: they must be the same.

Series are keyed by name, outcome and what else tells them apart, so that both sides are plain dictionaries.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from e2e.trace_checks import Tale
from llmbatch_telemetry import names
from llmbatch_telemetry.names import Metric, prometheus_label, prometheus_name
from otlp_decoding import ReceivedPoint

Numbers = dict[tuple[str, ...], float]
TOTALS = (names.BATCH_ITEMS, names.BATCH_ATTEMPTS, names.BATCH_TOKENS, names.BATCH_COST, names.BATCH_RESENT)
_OF_BATCH = 2
"""Namespace and name: the first attributes of each metric of a batch."""


def numbers_of_status(tale: Tale) -> Numbers:
    """What the status says of a batch, as its metrics should."""
    return _numbers(tale.status, resent="resentItems", tokens="{}Tokens")


def numbers_of_summary(tale: Tale) -> Numbers:
    """What summary.json says."""
    return _numbers(tale.summary, resent="resent_items", tokens="{}_tokens")


def _numbers(said: dict[str, Any], resent: str, tokens: str) -> Numbers:
    usage, cost = said["usage"], said["cost"]
    found = {
        **_items(said["items"]["succeeded"], {each["category"]: each["count"] for each in said["errors"]}),
        (names.BATCH_ATTEMPTS.name,): said["attempts"],
        (names.BATCH_RESENT.name,): said[resent],
        (names.BATCH_COST.name, cost["currency"]): cost["amount"],
    }
    return found | {(names.BATCH_TOKENS.name, kind): usage[tokens.format(kind)] for kind in ("input", "output")}


def numbers_of_points(points: Iterable[ReceivedPoint], tale: Tale) -> Numbers:
    """What was received: of cumulative points the last, of deltas the sum."""
    found: Numbers = {}
    for point in sorted(_of_batch(points, tale), key=lambda each: each.time):
        key = _key(point)
        found[key] = point.value + (found.get(key, 0) if point.is_delta else 0)
    return _told(found)


def expect_no_steps_back(points: Iterable[ReceivedPoint], tale: Tale) -> None:
    """Totals only grow, whichever operator exported them, and all count from the same moment."""
    series: dict[tuple[str, ...], list[ReceivedPoint]] = {}
    for point in sorted(_of_batch(points, tale), key=lambda each: each.time):
        series.setdefault(_key(point), []).append(point)
    for each in series.values():
        assert all(before.value <= after.value for before, after in pairwise(each)), each
        assert len({point.start for point in each}) == 1, each


def numbers_of_exposition(text: str, tale: Tale) -> Numbers:
    """What Prometheus reads at the operator's /metrics."""
    found: Numbers = {}
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    for metric in TOTALS:
        labels = [prometheus_label(attribute) for attribute in metric.attributes]
        for sample in samples:
            if sample.name == prometheus_name(metric) and _is_of(tale, sample.labels, *labels[:_OF_BATCH]):
                found[_known(metric, (sample.labels.get(label, "") for label in labels[_OF_BATCH:]))] = sample.value
    return _told(found)


def _items(succeeded: int, failed: Mapping[str, int]) -> Numbers:
    name = names.BATCH_ITEMS.name
    return {(name, "succeeded"): succeeded, **{(name, "failed", category): n for category, n in failed.items()}}


def _of_batch(points: Iterable[ReceivedPoint], tale: Tale) -> Iterator[ReceivedPoint]:
    totals = {metric.name: metric for metric in TOTALS}
    for point in points:
        metric = totals.get(point.name)
        if metric is not None and _is_of(tale, point.attributes, *metric.attributes[:_OF_BATCH]):
            yield point


def _is_of(tale: Tale, attributes: Mapping[str, object], namespace: str, batch: str) -> bool:
    metadata = tale.resource["metadata"]
    return (attributes.get(namespace), attributes.get(batch)) == (metadata["namespace"], metadata["name"])


def _key(point: ReceivedPoint) -> tuple[str, ...]:
    metric = next(metric for metric in TOTALS if metric.name == point.name)
    return _known(metric, (str(point.attributes.get(name, "")) for name in metric.attributes[_OF_BATCH:]))


def _known(metric: Metric, values: Iterable[str]) -> tuple[str, ...]:
    return (metric.name, *(value for value in values if value))


def _told(found: Numbers) -> Numbers:
    """Without kinds of tokens that status and summary leave out where there are none."""
    return {key: value for key, value in found.items() if value or key[-1] not in ("cached", "reasoning")}
