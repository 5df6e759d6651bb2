"""Availability: which seconds of some spans count for us, which against us, and which do not count. Pure.

    1  maintenance      seconds of an announced window are left out, whatever happened in them
    2  own requests     a minute with requests of the tenant's own is down when more than 5 % of them were answered
                        with a 5xx, else up: what the probes saw then does not matter
    3  probes           of silent minutes, seconds of an incident are down and the other probed seconds are up
    4  the rest         nobody asked and nobody looked: neither up nor down

availability = up / (up + down); of no counted second there is none. A minute that a window or a span's edge cuts
counts with the seconds that are left of it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from apps.sla.intervals import Interval, Seconds, difference, intersection, length, union

MINUTE = 60
#: A minute is down when more than this share of its requests failed.
TOLERATED = Fraction(5, 100)
_PARTS, _OF = TOLERATED.as_integer_ratio()


class Requests(NamedTuple):
    """Requests of a tenant in one minute: answered as they should be, and failed with a 5xx."""

    answered: int = 0
    failed: int = 0

    @property
    def down(self) -> bool:
        return self.failed * _OF > _PARTS * (self.answered + self.failed)


@dataclass(frozen=True)
class Evidence:
    """All that is known of some seconds, `spans`. `requests`: by minutes since 1970, those with any."""

    spans: tuple[Interval, ...]
    requests: Mapping[int, Requests]
    probed: tuple[Interval, ...] = ()
    incidents: tuple[Interval, ...] = ()
    maintenance: tuple[Interval, ...] = ()


@dataclass(frozen=True)
class Measured:
    """What became of each second of the spans: disjoint, and together all of them."""

    up: Seconds
    down_by_requests: Seconds
    down_by_probes: Seconds
    excluded: Seconds
    unknown: Seconds

    @property
    def up_seconds(self) -> int:
        return length(self.up)

    @property
    def down_seconds(self) -> int:
        return length(self.down_by_requests) + length(self.down_by_probes)

    @property
    def excluded_seconds(self) -> int:
        return length(self.excluded)

    @property
    def unknown_seconds(self) -> int:
        return length(self.unknown)

    @property
    def availability(self) -> Fraction | None:
        """The share of the counted seconds that were up, exact; None when none counts."""
        counted = self.up_seconds + self.down_seconds
        return Fraction(self.up_seconds, counted) if counted else None


def measure(evidence: Evidence) -> Measured:
    """Tell what became of each second."""
    whole = union(evidence.spans)
    excluded = intersection(whole, union(evidence.maintenance))
    counted = difference(whole, excluded)
    asked = minutes(evidence.requests)
    asked_down = intersection(counted, minutes(_down(evidence.requests)))
    asked_up = difference(intersection(counted, asked), asked_down)
    silent = difference(counted, asked)
    looked_at = intersection(silent, union(evidence.probed))
    seen_down = intersection(looked_at, union(evidence.incidents))
    return Measured(
        up=union([*asked_up, *difference(looked_at, seen_down)]),
        down_by_requests=asked_down,
        down_by_probes=seen_down,
        excluded=excluded,
        unknown=difference(silent, looked_at),
    )


def minutes(numbers: Iterable[int]) -> Seconds:
    """The seconds of some minutes, each by its number since 1970."""
    found = np.unique(np.fromiter(numbers, np.int64))
    firsts = found[np.diff(found, prepend=found[:1] - 2) > 1]
    lasts = found[np.diff(found, append=found[-1:] + 2) > 1]
    return tuple(zip((firsts * MINUTE).tolist(), ((lasts + 1) * MINUTE).tolist(), strict=True))


def _down(requests: Mapping[int, Requests]) -> Iterator[int]:
    """Minutes that were down. Few have failures at all: those alone are looked at."""
    return (minute for minute, asked in requests.items() if asked.failed and asked.down)
