"""Sets of seconds, as sorted intervals [start, end) that neither overlap nor touch. Pure.

Times are whole seconds since 1970, UTC, so that no time zone and no change to summer time has a say in a length.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

Interval = tuple[int, int]
Seconds = tuple[Interval, ...]


def second_of(moment: datetime) -> int:
    """The second a time is in, since 1970. Raises `ValueError` for a time without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone is no moment")
    return int(moment.astimezone(UTC).timestamp() // 1)


def moment_of(second: int) -> datetime:
    """The moment a second begins, UTC."""
    return datetime.fromtimestamp(second, UTC)


def union(intervals: Iterable[Interval]) -> Seconds:
    """All seconds of any intervals, in any order; empty and reversed ones have none."""
    found: list[Interval] = []
    for start, end in sorted(one for one in intervals if one[0] < one[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)


def intersection(one: Seconds, other: Seconds) -> Seconds:
    """Seconds that are in both."""
    return tuple(_common(one, other))


def difference(one: Seconds, other: Seconds) -> Seconds:
    """Seconds of the first that are not in the second."""
    if not one:
        return ()
    begin, end = one[0][0], one[-1][1]
    edges = [begin, *(edge for interval in other for edge in interval), end]
    gaps = union(zip(edges[::2], edges[1::2], strict=True))
    return intersection(one, gaps)


def length(seconds: Seconds) -> int:
    """How many seconds they are."""
    return sum(end - start for start, end in seconds)


def _common(one: Sequence[Interval], other: Sequence[Interval]) -> Iterator[Interval]:
    first = second = 0
    while first < len(one) and second < len(other):
        start, end = max(one[first][0], other[second][0]), min(one[first][1], other[second][1])
        if start < end:
            yield start, end
        if one[first][1] <= other[second][1]:
            first += 1
        else:
            second += 1
