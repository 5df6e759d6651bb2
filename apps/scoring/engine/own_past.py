"""What a tenant's own models know of a party beside the schema's features: what it did over 1, 7 and 30 days, and which
of its transactions were known by then to be frauds. Pure; one definition for the live request and for training.

What is kept of a party, and so the bounds:

* Doings, in buckets of six hours of event time: decisions and their amounts in hundredths, whole numbers, so that no
  order of adding changes a sum. A window of W days holds the 4 W whole buckets before the transaction's own one: what
  happened within the last hours is the schema's own features' to know. Buckets of 31 days are kept, 124 of 16 bytes.
* Known frauds, each with the second from which it is known (`Label.known_at`, rounded up, never before the transaction
  itself): the newest 512 of 31 days, 12 bytes each. A window of W days holds those known within it. A correction takes
  one out again.

A decision dated before a label was known never sees it, nor does one see anything dated in its own bucket or later.
An event counts from its own time on, whenever it arrived; one dated ahead of the clocks is not kept.
"""

from collections.abc import Sequence
from math import nan
from struct import Struct
from typing import NamedTuple

import numpy as np

from apps.scoring.engine.past_events import DAY_MS, HOUR_MS

BUCKET_MS = 6 * HOUR_MS
WINDOWS = (1, 7, 30)  # days
BUCKETS_A_DAY = DAY_MS // BUCKET_MS
KEPT_DAYS = 31
KEPT_BUCKETS = KEPT_DAYS * BUCKETS_A_DAY
KEPT_SECONDS = KEPT_DAYS * DAY_MS // 1000
MOST_KNOWN = 512
#: A bucket since 1970, decisions in it, hundredths of their amounts.
BUCKET = Struct("<IId")
#: A fraud's transaction, and the second since 1970 from which it is known.
KNOWN = Struct("<QI")
MOST_HUNDREDTHS = 2**50  # of one transaction: sums stay whole in a double
DAY_SECONDS = DAY_MS // 1000
LONGEST_SECONDS = WINDOWS[-1] * DAY_SECONDS
_COUNTED = len(WINDOWS)


class Past(NamedTuple):
    """A party as it is kept: `BUCKET`s by time, `KNOWN` frauds by the second."""

    buckets: bytes = b""
    known: bytes = b""


#: Numbers of a party: decisions, hundredths and known frauds of each window; seconds since the first and since the last
#: of the frauds of the longest one became known, nan without any.
WIDTH = 3 * _COUNTED + 2
#: Of a party that was not named.
NOT_NAMED = (nan,) * WIDTH


def bucket_of(at_ms: int) -> int:
    """Buckets since 1970."""
    return at_ms // BUCKET_MS


def hundredths_of(amount: float) -> int:
    """An amount as it is summed."""
    return min(round(amount * 100.0), MOST_HUNDREDTHS)


def known_second(known_ms: int, event_ms: int) -> int:
    """The second from which a fraud is known: nothing may see it sooner, and itself never."""
    return max(-(-known_ms // 1000), event_ms // 1000 + 1)


def counted(past: Past, at_ms: int) -> tuple[float, ...]:
    """The `WIDTH` numbers of a party as of `at_ms`."""
    counts, sums, frauds = [0] * _COUNTED, [0.0] * _COUNTED, [0] * _COUNTED
    first = last = nan
    now, second = bucket_of(at_ms), at_ms // 1000
    for bucket, decisions, hundredths in BUCKET.iter_unpack(past.buckets):
        age = now - bucket
        for place, days in enumerate(WINDOWS):
            if 0 < age <= days * BUCKETS_A_DAY:
                counts[place] += decisions
                sums[place] += hundredths
    for _, known in KNOWN.iter_unpack(past.known):
        age = second - known
        for place, days in enumerate(WINDOWS):
            if 0 <= age < days * DAY_SECONDS:
                frauds[place] += 1
        if 0 <= age < LONGEST_SECONDS:  # they come in the order of becoming known
            first, last = (float(age) if first != first else first), float(age)
    return (*map(float, counts), *sums, *map(float, frauds), first, last)


class Doings(NamedTuple):
    """Decisions of a tenant, in one role: int64[n] numbers of their parties (-1: not named), when (ms), hundredths."""

    party: np.ndarray
    at_ms: np.ndarray
    hundredths: np.ndarray


class Frauds(NamedTuple):
    """Frauds in one role: int64[m] numbers of their parties, the seconds from which and until which (a correction;
    `FOR_GOOD` without) they are known."""

    party: np.ndarray
    known: np.ndarray
    until: np.ndarray


FOR_GOOD = 2**33 - 1


class Buckets(NamedTuple):
    """What was known of parties before a log begins, n entries: int64[n] numbers of parties, buckets, float64[n]
    decisions and hundredths."""

    party: np.ndarray
    bucket: np.ndarray
    decisions: np.ndarray
    hundredths: np.ndarray


NOTHING = Buckets(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0), np.empty(0))


def counted_columns(doings: Doings, frauds: Frauds, before: Buckets = NOTHING) -> np.ndarray:
    """`counted` of every decision, float64[n, WIDTH]; nan where the party was not named."""
    named = doings.party >= 0
    mine = Doings(*(column[named] for column in doings))
    found = np.full((len(named), WIDTH), np.nan)
    found[named] = np.column_stack([*_doings(mine, before), *_frauds(mine, frauds)])
    return found


def _doings(doings: Doings, before: Buckets) -> list[np.ndarray]:
    """Decisions, then hundredths, of each window."""
    mine = (doings.party << 33) + doings.at_ms // BUCKET_MS
    key = np.r_[mine, (before.party << 33) + before.bucket]
    order = np.argsort(key, kind="stable")
    sorted_keys = key[order]
    counts, sums = (
        np.r_[0.0, np.cumsum(column[order])]
        for column in (
            np.r_[np.ones(len(mine)), before.decisions],
            np.r_[doings.hundredths, before.hundredths],
        )
    )
    end = np.searchsorted(sorted_keys, mine, "left")
    begins = [np.searchsorted(sorted_keys, mine - days * BUCKETS_A_DAY, "left") for days in WINDOWS]
    return [*(counts[end] - counts[begin] for begin in begins), *(sums[end] - sums[begin] for begin in begins)]


def _frauds(doings: Doings, frauds: Frauds) -> list[np.ndarray]:
    """Known frauds of each window, at most as many as are kept; seconds since the first and the last of the longest."""
    for_good = frauds.until >= FOR_GOOD
    known = np.sort((frauds.party[for_good] << 33) + frauds.known[for_good])
    now = (doings.party << 33) + doings.at_ms // 1000
    end = np.searchsorted(known, now, "right")
    begins = [np.searchsorted(known, now - days * DAY_SECONDS, "right") for days in WINDOWS]
    counts = [(end - begin).astype(np.float64) for begin in begins]
    ages = [np.full(len(now), np.nan) for _ in range(2)]
    some = np.flatnonzero(end > begins[-1])
    ages[0][some] = now[some] - known[np.maximum(begins[-1], end - MOST_KNOWN)[some]]
    ages[1][some] = now[some] - known[end[some] - 1]
    for party, since, until in zip(*(column[~for_good].tolist() for column in frauds), strict=True):
        _add_for_a_while(counts, ages, doings, party, since, until)
    return [*(np.minimum(count, MOST_KNOWN) for count in counts), *ages]


def _add_for_a_while(
    counts: Sequence[np.ndarray], ages: Sequence[np.ndarray], doings: Doings, party: int, since: int, until: int
) -> None:
    """Add a fraud that was corrected later to what was decided until then."""
    second = doings.at_ms // 1000
    age = (second - since).astype(np.float64)
    held = (doings.party == party) & (second >= since) & (second < until)
    for count, days in zip(counts, WINDOWS, strict=True):
        count[held & (age < days * DAY_SECONDS)] += 1.0
    recent = held & (age < LONGEST_SECONDS)
    ages[0][recent] = np.fmax(ages[0][recent], age[recent])
    ages[1][recent] = np.fmin(ages[1][recent], age[recent])
