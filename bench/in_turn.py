"""Two tenants' decisions in one process, block by block in turn, so that neighbours of the machine disturb both alike;
and an installation on a folder of its own to make them in."""

import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

ROUNDS = 30


class Times(NamedTuple):
    """CPU µs of a decision of the one and of the other tenant, and by how much the first's is longer: medians of
    blocks."""

    one: float
    other: float
    more: float


@contextmanager
def installation() -> Iterator[None]:
    """Django on servers of its own, without tables."""
    with tempfile.TemporaryDirectory(prefix="palisade-bench-") as folder:
        os.environ |= {"PALISADE_DATA": folder, "DJANGO_SETTINGS_MODULE": "config.settings.api"}
        from config.local import embedded

        with embedded.running():
            import django

            django.setup()
            yield


def decided(application: Any, keys: Sequence[str], requests: int) -> Times:
    """So many decisions of each of two keys. The first block is not counted."""
    from bench.hot_path import bodies, request

    times: list[list[float]] = [[], []]
    for round_number, some in enumerate(_by(requests // ROUNDS, bodies(requests, seed=random.randrange(10**9)))):
        for place, key in enumerate(keys):
            begun = time.process_time()
            for body in some:
                request(application, key, body)
            if round_number:
                times[place].append((time.process_time() - begun) / len(some) * 1e6)
    more = [one - other for one, other in zip(*times, strict=True)]
    return Times(*(round(statistics.median(some), 1) for some in (*times, more)))


def _by(count: int, items: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(items) - count + 1, count):
        yield items[start : start + count]
