"""Sets of seconds, as sorted intervals [start, end) that neither overlap nor touch. Pure.

Times are whole seconds since 1970, UTC, so that no time zone and no change to summer time has a say in a length.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

import numpy as np

Interval = tuple[int, int]
Seconds = tuple[Interval, ...]
#: The same, or any intervals, as two rows: their starts and their ends.
Edges = np.ndarray[tuple[int, int], np.dtype[np.int64]]


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
    return seconds_of(merged(edges_of(intervals)))


def intersection(one: Iterable[Interval], other: Iterable[Interval]) -> Seconds:
    """Seconds that are in both."""
    return seconds_of(common(edges_of(one), edges_of(other)))


def difference(one: Iterable[Interval], other: Iterable[Interval]) -> Seconds:
    """Seconds of the first that are not in the second."""
    return seconds_of(without(edges_of(one), edges_of(other)))


def length(seconds: Seconds) -> int:
    """How many seconds they are."""
    return sum(end - start for start, end in seconds)


def edges_of(intervals: Iterable[Interval]) -> Edges:
    """Their starts and their ends."""
    return np.array(list(intervals), np.int64).reshape(-1, 2).T


def seconds_of(edges: Edges) -> Seconds:
    """The same as intervals."""
    return tuple(zip(edges[0].tolist(), edges[1].tolist(), strict=True))


def merged(edges: Edges) -> Edges:
    """Of any intervals, in any order: sorted, and those that overlap or touch made one."""
    starts, ends = edges[:, edges[0] < edges[1]]
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    apart = starts[1:] > ends[:-1]
    begins, finishes = np.r_[True, apart][: len(starts)], np.r_[apart, True][: len(ends)]
    return np.stack((starts[begins], ends[finishes]))


def common(one: Edges, other: Edges) -> Edges:
    """What is in both of two that are sorted and don't overlap."""
    (starts, ends), (other_starts, other_ends) = one, other
    # Of each interval the others that reach into it: `count` of them, from `first` on.
    first = np.searchsorted(other_ends, starts, side="right")
    count = np.searchsorted(other_starts, ends, side="left") - first
    mine = np.repeat(np.arange(len(starts)), count)
    its = np.arange(count.sum()) + np.repeat(first - np.cumsum(count) + count, count)
    return np.stack((np.maximum(starts[mine], other_starts[its]), np.minimum(ends[mine], other_ends[its])))


def without(one: Edges, other: Edges) -> Edges:
    """What is in the first alone of two that are sorted and don't overlap."""
    if not one.size:
        return one
    begin, end = one[0][:1], one[1][-1:]
    gaps = np.stack((np.concatenate((begin, other[1])), np.concatenate((other[0], end))))
    return common(one, gaps[:, gaps[0] < gaps[1]])
