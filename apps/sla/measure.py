"""Availability: which seconds of some spans count for us, which against us, and which do not count. Pure.

    1  maintenance      seconds of an announced window are left out, whatever happened in them
    2  own requests     a minute with requests of the tenant's own is down when more than 5 % of them were answered
                        with a 5xx, else up: what the probes saw then does not matter
    3  probes           of silent minutes, seconds of an incident are down and the other probed seconds are up
    4  the rest         nobody asked and nobody looked: neither up nor down

availability = up / (up + down); of no counted second there is none. A minute that a window or a span's edge cuts
counts with the seconds that are left of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from apps.sla.intervals import Edges, Interval, Seconds, common, edges_of, length, merged, seconds_of, without

MINUTE = 60
#: A minute is down when more than this share of its requests failed.
TOLERATED = Fraction(5, 100)
_PARTS, _OF = TOLERATED.as_integer_ratio()

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class Requests:
    """Requests of a tenant by minute since 1970, those with any in their order: how many were answered as they should
    be, and how many failed with a 5xx. Arrays of one length."""

    minutes: Numbers
    answered: Numbers
    failed: Numbers

    @classmethod
    def of(cls, by_minute: Mapping[int, tuple[int, int]]) -> "Requests":
        """From (answered, failed) by minute."""
        rows = np.array([(minute, *by_minute[minute]) for minute in sorted(by_minute)], np.int64).reshape(-1, 3)
        return cls(*rows.T)

    @property
    def down(self) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        return self.failed * _OF > _PARTS * (self.answered + self.failed)


@dataclass(frozen=True)
class Evidence:
    """All that is known of some seconds, `spans`."""

    spans: tuple[Interval, ...]
    requests: Requests
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
    whole = merged(edges_of(evidence.spans))
    excluded = common(whole, merged(edges_of(evidence.maintenance)))
    counted = without(whole, excluded)
    requests = evidence.requests
    asked, down = _edges_of(requests.minutes), _edges_of(requests.minutes[requests.down])
    asked_down = common(counted, down)
    asked_up = without(common(counted, asked), asked_down)
    silent = without(counted, asked)
    looked_at = common(silent, merged(edges_of(evidence.probed)))
    seen_down = common(looked_at, merged(edges_of(evidence.incidents)))
    return Measured(
        up=seconds_of(merged(np.hstack((asked_up, without(looked_at, seen_down))))),
        down_by_requests=seconds_of(asked_down),
        down_by_probes=seconds_of(seen_down),
        excluded=seconds_of(excluded),
        unknown=seconds_of(without(silent, looked_at)),
    )


def runs(minutes: Numbers) -> Seconds:
    """The seconds of some minutes, each by its number since 1970, in their order."""
    return seconds_of(_edges_of(minutes))


def _edges_of(minutes: Numbers) -> Edges:
    firsts = minutes[np.diff(minutes, prepend=minutes[:1] - 2) > 1]
    lasts = minutes[np.diff(minutes, append=minutes[-1:] + 2) > 1]
    return np.stack((firsts * MINUTE, (lasts + 1) * MINUTE))
