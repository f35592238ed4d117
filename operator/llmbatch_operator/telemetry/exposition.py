"""Points in the formats that Prometheus reads, by prometheus_client. Names are those of OpenTelemetry's exporters."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from llmbatch_telemetry.meters import Distribution, Point
from llmbatch_telemetry.names import Kind, Metric, prometheus_label, prometheus_name


def exposition(points: Iterable[Point], accept: str) -> tuple[bytes, str]:
    """The page for who accepts `accept`, and its content type."""
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # it reads versions as numbers, whatever a caller writes
        encode, content_type = choose_encoder("")
    return encode(_Points(points)), content_type


class _Points(Collector):
    """What prometheus_client asks."""

    def __init__(self, points: Iterable[Point]) -> None:
        self._points = points

    def collect(self) -> Iterator[Family]:
        """One family a metric."""
        families: dict[Metric, Family] = {}
        for point in self._points:
            family = families.get(point.metric)
            if family is None:
                family = families[point.metric] = _family(point.metric)
            _add(family, point)
        yield from families.values()


def _family(metric: Metric) -> Family:
    name, labels = prometheus_name(metric), [prometheus_label(a) for a in metric.attributes]
    if metric.kind is Kind.COUNTER:
        return CounterMetricFamily(name.removesuffix("_total"), metric.description, labels=labels)
    if metric.kind is Kind.GAUGE:
        return GaugeMetricFamily(name, metric.description, labels=labels)
    return HistogramMetricFamily(name, metric.description, labels=labels)


def _add(family: Family, point: Point) -> None:
    labels = list(point.attributes)
    match family, point.value:
        case HistogramMetricFamily(), Distribution() as value:
            family.add_metric(labels, _buckets(point.metric, value), value.sum)
        case ((CounterMetricFamily() | GaugeMetricFamily()), (int() | float()) as value):
            family.add_metric(labels, value)


def _buckets(metric: Metric, value: Distribution) -> list[tuple[str, float]]:
    bounds, total, buckets = (*metric.bounds, float("inf")), 0, []
    for bound, count in zip(bounds, value.counts, strict=True):
        total += count
        buckets.append((floatToGoString(bound), float(total)))  # type: ignore[no-untyped-call]
    return buckets
