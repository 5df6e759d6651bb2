"""Sets of seconds, as sorted intervals [start, end) that neither overlap nor touch. Pure.

Times are whole seconds since 1970, UTC, so that no time zone and no change to summer time has a say in a length.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import numpy as np

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


def intersection(one: Sequence[Interval], other: Sequence[Interval]) -> Seconds:
    """Seconds that are in both."""
    (starts, ends), (other_starts, other_ends) = _edges(one), _edges(other)
    # Of each interval the others that reach into it: `count` of them, from `first` on.
    first = np.searchsorted(other_ends, starts, side="right")
    count = np.searchsorted(other_starts, ends, side="left") - first
    mine = np.repeat(np.arange(len(starts)), count)
    its = np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)
    common = np.maximum(starts[mine], other_starts[its]), np.minimum(ends[mine], other_ends[its])
    return tuple(zip(common[0].tolist(), common[1].tolist(), strict=True))


def difference(one: Seconds, other: Seconds) -> Seconds:
    """Seconds of the first that are not in the second."""
    if not one:
        return ()
    begin, end = one[0][0], one[-1][1]
    edges = [begin, *(edge for interval in other for edge in interval), end]
    gaps = [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end]
    return intersection(one, gaps)


def length(seconds: Seconds) -> int:
    """How many seconds they are."""
    return sum(end - start for start, end in seconds)


def _edges(intervals: Sequence[Interval]) -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    """Their starts and their ends."""
    return np.array(intervals, np.int64).reshape(-1, 2).T
