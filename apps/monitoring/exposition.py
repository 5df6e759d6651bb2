"""/metrics as it is answered: what the processes count, added up; the machine; the stores; the figures.

Every process that answers tells all of it, so a figure that is one for the installation is told by several, and rules
take its maximum. What is asked of elsewhere is asked at most every few seconds.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

from django.conf import settings
from django.utils import timezone
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from apps.monitoring import figures, host, process_files, stores
from apps.monitoring.adding_up import Sums
from apps.monitoring.sample import Family, Sample, families_of
from apps.valkey import server

CONTENT_TYPE = CONTENT_TYPE_LATEST
#: Seconds for which what was asked is told again.
REMEMBERED_SECONDS = 2.0
#: All that is told beside what processes count.
FAMILIES: Mapping[str, Family] = {**host.FAMILIES, **stores.FAMILIES, **figures.FAMILIES}


def exposition() -> bytes:
    """The page, in Prometheus' text format."""
    return counted() + generate_latest(_asked())


def counted() -> bytes:
    """What the processes count; of this one alone where they have no folder to share."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not folder:
        return generate_latest(REGISTRY)
    process_files.fold_dead(Path(folder))
    with process_files.reading(Path(folder)):
        return _sums().text(Path(folder)).encode()


def _samples() -> Iterator[Sample]:
    valkey = server(settings.REDIS_URL, settings.REDIS_TIMEOUT)
    yield from host.samples(settings.DATA_DIR)
    yield from stores.samples(valkey, server(settings.BROKER_URL, settings.REDIS_TIMEOUT))
    yield from figures.samples(valkey, timezone.now())


class Remembering(Collector):
    """Tells samples; those asked for a moment ago are told again."""

    def __init__(self, ask: Callable[[], Iterable[Sample]]) -> None:
        self._ask = ask
        self._until = 0.0
        self._known: list[Metric] = []

    def collect(self) -> list[Metric]:
        if time.monotonic() >= self._until:
            self._known = list(families_of(self._ask(), FAMILIES))
            self._until = time.monotonic() + REMEMBERED_SECONDS
        return self._known


@cache
def _sums() -> Sums:
    """The process's own: what it learned of the files' layout."""
    return Sums()


@cache
def _asked() -> CollectorRegistry:
    """The process's own, made once."""
    registry = CollectorRegistry()
    registry.register(Remembering(_samples))
    return registry
