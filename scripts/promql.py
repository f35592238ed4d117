"""Expressions of PromQL over the metrics of `llmbatch_telemetry.names`, for dashboards and alerts.

Metrics and labels are given as the objects and names of that module, so that nobody can ask for one that is not there.
"""

from collections.abc import Mapping, Sequence

from llmbatch_telemetry import names
from llmbatch_telemetry.names import Kind, Metric, prometheus_label, prometheus_name

RESOURCE_LABELS = (names.NAMESPACE, names.BATCH, names.POD)
"""Attributes of a worker's resource that the collector makes labels of."""

TARGET_LABELS = ("job", "instance")
"""What Prometheus has for `service.name` and `service.instance.id`."""

BATCH = (names.NAMESPACE, names.BATCH)
HERE = {names.NAMESPACE: "$namespace", names.BATCH: "$batch"}
"""The batch that is chosen on a dashboard."""

Where = Mapping[str, str]


def series(metric: Metric, where: Where | None = None, *, part: str = "") -> str:
    """All series of a metric whose labels match; `part` is `_bucket`, `_sum` or `_count` of a histogram."""
    matchers = ", ".join(f'{label(key)}{_operator(value)}"{value}"' for key, value in (where or {}).items())
    return f"{prometheus_name(metric)}{part}{{{matchers}}}"


def _operator(value: str) -> str:
    return "=~" if set(value) & set(".*+|[") else "="


def label(attribute: str) -> str:
    """The label of an attribute; those that Prometheus adds itself stay as they are."""
    return attribute if attribute in (*TARGET_LABELS, "le") else prometheus_label(attribute)


def grouped(function: str, expression: str, by: Sequence[str]) -> str:
    """`sum by (…) (…)` and its like."""
    labels = f" by ({', '.join(map(label, by))}) " if by else ""
    return f"{function}{labels}({expression})"


def rate(
    metric: Metric,
    where: Where | None = None,
    *,
    by: Sequence[str] = (),
    part: str = "",
    window: str = "$__rate_interval",
) -> str:
    """By how much a total grows in a second, over all processes."""
    return grouped("sum", f"rate({series(metric, where, part=part)}[{window}])", by)


def per_minute(metric: Metric, where: Where | None = None, *, by: Sequence[str] = (), part: str = "") -> str:
    """By how much a total grows in a minute, over all processes."""
    return f"60 * {rate(metric, where, by=by, part=part)}"


def of_batch(metric: Metric, where: Where | None = None, *, by: Sequence[str] = ()) -> str:
    """A number of a batch as a whole.

    The operator tells it of every batch, and for a while after a restart so does the one before: the greatest is right.
    """
    return grouped("max", series(metric, where), (*BATCH, *by))


def of_batches(metric: Metric, where: Where | None = None, *, by: Sequence[str] = BATCH) -> str:
    """The same, summed up over the labels that are not named."""
    return grouped("sum", of_batch(metric, where, by=[key for key in metric.attributes if key not in BATCH]), by)


def of_endpoint(metric: Metric, where: Where | None = None, *, by: Sequence[str] = ()) -> str:
    """A number of an LLMEndpoint as a whole, told by the operator, as `of_batch`."""
    return grouped("max", series(metric, where), (names.ENDPOINT, *by))


def growth_of_batches(metric: Metric, where: Where | None = None, *, by: Sequence[str] = BATCH, window: str) -> str:
    """By how much the totals of batches have grown."""
    return _change_of_batches("increase", metric, where, by, window)


def batches_per_minute(metric: Metric, where: Where | None = None, *, by: Sequence[str] = BATCH) -> str:
    """By how much the totals of batches grow in a minute."""
    return f"60 * {_change_of_batches('rate', metric, where, by, '$__rate_interval')}"


def _change_of_batches(function: str, metric: Metric, where: Where | None, by: Sequence[str], window: str) -> str:
    single = grouped("max", f"{function}({series(metric, where)}[{window}])", metric.attributes)
    return grouped("sum", single, by)


def quantile(share: float, metric: Metric, where: Where | None = None, *, by: Sequence[str] = ()) -> str:
    """A quantile of a histogram, over all processes."""
    assert metric.kind is Kind.HISTOGRAM
    return f"histogram_quantile({share}, {rate(metric, where, by=('le', *by), part='_bucket')})"
