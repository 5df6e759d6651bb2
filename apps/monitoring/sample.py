"""A number as Prometheus is told it, and the families such numbers belong to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric


class Family(NamedTuple):
    """What a metric says, by which labels it is told apart, and whether it only ever grows."""

    says: str
    labels: Sequence[str] = ()
    kind: Literal["gauge", "counter"] = "gauge"


class Sample(NamedTuple):
    """A value of a family, under the values of its labels."""

    name: str
    labels: Sequence[str]
    value: float


def families_of(samples: Iterable[Sample], families: Mapping[str, Family]) -> Iterator[Metric]:
    """Samples as prometheus_client writes them."""
    metrics: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
    for sample in samples:
        metric = metrics.get(sample.name)
        if metric is None:
            family = families[sample.name]
            make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            metric = metrics[sample.name] = make(sample.name, family.says, labels=family.labels)
        metric.add_metric(list(sample.labels), sample.value)
    yield from metrics.values()
