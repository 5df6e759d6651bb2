"""Velocity counts over the windows of a past: one hour, a day, a week, by the window rule of `history.py`. Pure."""

from collections.abc import Sequence
from math import inf, nan

import msgspec
import numpy as np

from apps.scoring.engine.past_events import (
    DAY_MS,
    EVENT,
    EVENT_COLUMNS,
    HOUR_MS,
    LOOKED_AT,
    NOBODY,
    WEEK_MS,
)

#: How far counts and spans of recent activity reach; sums of amounts from 0 on do as well, without an end.
COUNTS, WEEK_SECONDS, FROM_NOTHING = (0.0, float(LOOKED_AT)), (0.0, WEEK_MS / 1000.0), (0.0, inf)
FEW = 64  # events up to which a loop is faster than arrays


class Activity(msgspec.Struct, frozen=True):
    """Counts, sums, distinct counterparties and largest amounts (nan where none is) of a party's last hour, day and
    week; all nan when unknown."""

    count_1h: float
    count_24h: float
    count_7d: float
    sum_1h: float
    sum_24h: float
    sum_7d: float
    distinct_1h: float
    distinct_24h: float
    distinct_7d: float
    since_last: float
    max_1h: float
    max_24h: float
    max_7d: float


UNKNOWN = Activity(*[nan] * len(Activity.__struct_fields__))
QUIET = Activity(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, nan, nan, nan, nan)


def counted(packed: bytes, at_ms: int, transaction_hash: int) -> Activity:
    """The window rule, event by event: fastest for the few events most parties have."""
    seen = {transaction_hash}
    hour, day, week, latest = at_ms - HOUR_MS, at_ms - DAY_MS, at_ms - WEEK_MS, at_ms - WEEK_MS
    n1 = n24 = n7 = 0
    s1 = s24 = s7 = 0.0
    m1 = m24 = m7 = -inf
    d1: set[int] = set()
    d24: set[int] = set()
    d7: set[int] = set()
    for when, amount, transaction, counterparty, *_ in reversed(list(EVENT.iter_unpack(packed))):
        if transaction in seen:
            continue
        seen.add(transaction)
        if not week < when <= at_ms:
            continue
        n7 += 1
        s7 += amount
        d7.add(counterparty)
        m7 = amount if amount > m7 else m7
        latest = max(latest, when)
        if when > day:
            n24 += 1
            s24 += amount
            d24.add(counterparty)
            m24 = amount if amount > m24 else m24
            if when > hour:
                n1 += 1
                s1 += amount
                d1.add(counterparty)
                m1 = amount if amount > m1 else m1
    if not n7:
        return QUIET
    return Activity(
        float(n1),
        float(n24),
        float(n7),
        s1,
        s24,
        s7,
        distinct(d1),
        distinct(d24),
        distinct(d7),
        (at_ms - latest) / 1000.0,
        m1 if n1 else nan,
        m24 if n24 else nan,
        m7,
    )


def counted_in_bulk(packed: bytes, at_ms: int, transaction_hash: int) -> Activity:
    """The same rule over arrays, to the same bits: for busy parties. A test holds the two together."""
    return activity_of(looked_at_before(packed, at_ms, transaction_hash, WEEK_MS), at_ms)


def looked_at_before(packed: bytes, at_ms: int, transaction_hash: int, window_ms: int) -> np.ndarray:
    """The events that count at `at_ms`, newest first."""
    events = np.frombuffer(packed, EVENT_COLUMNS)
    transaction = events["transaction"].tolist()
    known = set(transaction)
    if transaction_hash in known or len(known) < len(transaction):
        events = events[_counted_once(transaction[::-1], transaction_hash)[::-1]]
    begin, end = events["when"].searchsorted((at_ms - window_ms, at_ms), "right")
    return events[begin:end][::-1]


def _counted_once(transaction: Sequence[int], present: int) -> list[bool]:
    """Which events, newest first, are the newest of their transaction, and not the present one's."""
    seen = {present}
    return [not (one in seen or seen.add(one)) for one in transaction]  # type: ignore[func-returns-value]


def activity_of(events: np.ndarray, at_ms: int) -> Activity:
    """The windows over arrays; `events` newest first."""
    when, counterparty = events["when"], events["counterparty"].tolist()
    n1, n24, n7 = (later_than(when, at_ms - window) for window in (HOUR_MS, DAY_MS, WEEK_MS))
    if not n7:
        return QUIET
    sums = np.add.accumulate(events["amount"][:n7])  # one after the other, as a loop adds them
    s1, s24, s7 = (float(sums[count - 1]) if count else 0.0 for count in (n1, n24, n7))
    d1, d24, d7 = (distinct(set(counterparty[:count])) for count in (n1, n24, n7))
    most = np.maximum.accumulate(events["amount"][:n7])
    m1, m24, m7 = (float(most[count - 1]) if count else nan for count in (n1, n24, n7))
    since = (at_ms - int(when[0])) / 1000.0
    return Activity(float(n1), float(n24), float(n7), s1, s24, s7, d1, d24, d7, since, m1, m24, m7)


def later_than(when: np.ndarray, at_ms: int) -> int:
    """How many of the times, newest first, are later than a moment."""
    return len(when) - int(when[::-1].searchsorted(at_ms, "right"))


def distinct(counterparties: set[int]) -> float:
    return float(len(counterparties) - (NOBODY in counterparties))
