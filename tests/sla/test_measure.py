"""Availability equals a brute-force oracle, to the second, on 10,000 random timelines."""

import itertools
import random
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from apps.sla.intervals import Interval, difference, intersection, moment_of, second_of, union
from apps.sla.measure import Evidence, Measured, Requests, measure

TIMELINES = 10_000
#: Timelines lie around days on which clocks are changed, forward and back.
CHANGES = (
    ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),  # by half an hour
)
UNKNOWN, UP, DOWN, EXCLUDED = range(4)


def timeline(seed: int) -> Evidence:
    """Some hours with overlapping incidents and windows, gaps in the probing, busy and silent minutes."""
    random.seed(seed)
    zone, change = random.choice(CHANGES)
    begin = second_of(change) - random.randrange(7_200)
    length = random.randrange(60, 3_600)
    busy = random.random()
    return Evidence(
        spans=tuple(some(begin, length, random.randrange(1, 4))),
        requests=Requests.of(
            {minute: asked() for minute in range(begin // 60, (begin + length) // 60 + 1) if random.random() < busy}
        ),
        probed=tuple(some(begin, length, random.randrange(4))),
        incidents=tuple(some(begin, length, random.randrange(5))),
        maintenance=tuple(local(one, zone) for one in some(begin, length, random.randrange(3))),
    )


def some(begin: int, length: int, count: int) -> list[Interval]:
    """Intervals that may overlap, touch, be empty, or reach beyond."""
    starts = [begin + random.randrange(-300, length) for _ in range(count)]
    return [(start, start + random.choice((0, 1, 59, 60, random.randrange(length)))) for start in starts]


def asked() -> tuple[int, int]:
    total = random.choice((1, 19, 20, 21, 100))
    failed = random.choice((0, 0, 0, 1, total // 20, total // 20 + 1, total))
    return total - min(failed, total), min(failed, total)


def local(interval: Interval, zone: str) -> Interval:
    """The interval as an operator's local times say it, read back."""
    start, end = (moment_of(second).astimezone(ZoneInfo(zone)) for second in interval)
    return second_of(start), second_of(end)


def oracle(evidence: Evidence) -> np.ndarray:
    """What became of each second: painted one over the other, the strongest last."""
    edges = [edge for one in (*evidence.spans, *evidence.probed, *evidence.incidents) for edge in one]
    first, last = min(edges) // 60 * 60, max(edges) + 120
    painted = np.full(last - first, UNKNOWN)

    def mask(intervals: tuple[Interval, ...]) -> np.ndarray:
        found = np.zeros(len(painted), dtype=bool)
        for start, end in intervals:
            found[max(start - first, 0) : max(end - first, 0)] = True
        return found

    painted[mask(evidence.probed)] = UP
    painted[mask(evidence.probed) & mask(evidence.incidents)] = DOWN
    requests = evidence.requests
    for minute, answered, failed in zip(requests.minutes, requests.answered, requests.failed, strict=True):
        place = minute * 60 - first
        if place + 60 > 0:
            bad = 100 * failed > 5 * (failed + answered)
            painted[max(place, 0) : place + 60] = DOWN if bad else UP
    painted[mask(evidence.maintenance)] = EXCLUDED
    return painted[mask(evidence.spans)]


def test_availability_is_the_oracles_to_the_second() -> None:
    for seed in range(TIMELINES):
        evidence = timeline(seed)
        found, expected = measure(evidence), oracle(evidence)
        counts = [int((expected == state).sum()) for state in (UP, DOWN, EXCLUDED, UNKNOWN)]
        assert seconds_of(found) == counts, seed
        up, down = counts[:2]
        assert found.availability == (Fraction(up, up + down) if up + down else None), seed


def seconds_of(found: Measured) -> list[int]:
    return [found.up_seconds, found.down_seconds, found.excluded_seconds, found.unknown_seconds]


def test_sets_of_seconds_are_sets() -> None:
    random.seed(1)
    for _ in range(300):
        one, other = union(some(0, 400, 6)), union(some(0, 400, 6))
        seconds = [{second for start, end in these for second in range(start, end)} for these in (one, other)]
        for found, expected in (
            (union([*one, *other]), seconds[0] | seconds[1]),
            (intersection(one, other), seconds[0] & seconds[1]),
            (difference(one, other), seconds[0] - seconds[1]),
        ):
            assert {second for start, end in found for second in range(start, end)} == expected
            assert all(before[1] < after[0] for before, after in itertools.pairwise(found))


DAY = second_of(datetime(2026, 11, 1, tzinfo=UTC))


def of_an_hour(**facts: object) -> Measured:
    return measure(Evidence(**({"spans": ((DAY, DAY + 3_600),), "requests": Requests.of({})} | facts)))  # type: ignore[arg-type]


def test_nothing_known_is_neither_up_nor_down() -> None:
    found = of_an_hour(incidents=((DAY, DAY + 600),))
    assert (found.availability, found.unknown_seconds) == (None, 3_600)


@pytest.mark.parametrize(("answered", "failed", "down"), [(95, 5, False), (94, 5, True), (0, 1, True), (1, 0, False)])
def test_a_minute_is_down_above_five_percent(answered: int, failed: int, down: bool) -> None:
    found = of_an_hour(requests=Requests.of({DAY // 60: (answered, failed)}))
    assert found.down_seconds == (60 if down else 0)


def test_own_requests_count_before_probes_do() -> None:
    found = of_an_hour(
        requests=Requests.of({DAY // 60: (3, 0)}), probed=((DAY, DAY + 600),), incidents=((DAY, DAY + 600),)
    )
    assert (found.up_seconds, found.down_seconds) == (60, 540)


def test_an_hour_of_the_night_the_clocks_change_has_its_seconds() -> None:
    zone = ZoneInfo("Europe/Berlin")
    start = datetime(2026, 10, 25, 2, 30, tzinfo=zone)
    end = datetime(2026, 10, 25, 2, 30, tzinfo=zone, fold=1)
    assert second_of(end) - second_of(start) == 3_600
    assert end - start == timedelta(0)  # what the wall says


def test_a_time_without_a_zone_is_none() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        second_of(datetime(2026, 11, 1))  # noqa: DTZ001
