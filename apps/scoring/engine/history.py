"""The shape of recent activity: what is kept of a party's past, and what is counted from it. Not where it is kept.

A party's past is one bytes string of 32-byte events in order of arrival (`pack`), of which at most the newest `KEPT`
are looked at: counts saturate at 256.

The window rule. The window *w* at time *t* holds the events with

    t - w < event time <= t

that arrived before the present transaction. The present transaction is never part of its own past: events under its
transaction hash are left out. An event repeated under one transaction hash counts once and the newest copy wins, so
writing an event twice after a crash changes nothing. Windows are 1 hour, 24 hours and 7 days. An unknown counterparty
is an event but not a counterparty. `since_last` is the seconds since the latest event inside the 7 days, nan when none.

`summarise` serves both sides, the live request and the replay of a training file, so the two agree by construction.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from math import nan
from struct import Struct

import msgspec
import numpy as np

from apps.scoring.engine.transaction import Party, Role

EVENT = Struct("<qdQQ")  # event time in ms, amount, counterparty hash, transaction hash
EVENT_BYTES = EVENT.size
EVENT_COLUMNS = np.dtype([("when", "<i8"), ("amount", "<f8"), ("counterparty", "<u8"), ("transaction", "<u8")])
KEPT = 256  # newest events of a party that are looked at
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
FEW = 64  # events up to which a loop is faster than arrays
NOBODY = 0  # the hash of an unknown name


class Activity(msgspec.Struct, frozen=True):
    """Counts, sums and distinct counterparties of a party's last hour, day and week; all nan when unknown."""

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


UNKNOWN = Activity(nan, nan, nan, nan, nan, nan, nan, nan, nan, nan)
QUIET = Activity(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, nan)


def name_hash(name: str) -> int:
    """64 bits of BLAKE2b of a name; an empty name is `NOBODY`."""
    if not name:
        return NOBODY
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")


def pack(at_ms: int, amount: float, counterparty: str, transaction_hash: int) -> bytes:
    """One event as 32 bytes, ready to be appended to a party's past."""
    return EVENT.pack(at_ms, amount, name_hash(counterparty), transaction_hash)


def summarise(packed: bytes, at_ms: int, transaction_hash: int) -> Activity:
    """Count a party's past as it stood before the transaction `transaction_hash` at `at_ms`.

    Sums run from the newest event to the oldest, always in that order. A torn tail, short of an event, is cut off.
    """
    if not packed:
        return QUIET
    usable = len(packed) - len(packed) % EVENT_BYTES
    newest = packed[max(0, usable - KEPT * EVENT_BYTES) : usable]
    if len(newest) > FEW * EVENT_BYTES:
        return _counted_in_bulk(newest, at_ms, transaction_hash)
    return _counted(newest, at_ms, transaction_hash)


def _counted(packed: bytes, at_ms: int, transaction_hash: int) -> Activity:
    """The window rule, event by event: fastest for the few events most parties have."""
    seen = {transaction_hash}
    hour, day, week, latest = at_ms - HOUR_MS, at_ms - DAY_MS, at_ms - WEEK_MS, at_ms - WEEK_MS
    n1 = n24 = n7 = 0
    s1 = s24 = s7 = 0.0
    d1: set[int] = set()
    d24: set[int] = set()
    d7: set[int] = set()
    for when, amount, counterparty, transaction in reversed(list(EVENT.iter_unpack(packed))):
        if transaction in seen:
            continue
        seen.add(transaction)
        if not week < when <= at_ms:
            continue
        n7 += 1
        s7 += amount
        d7.add(counterparty)
        latest = max(latest, when)
        if when > day:
            n24 += 1
            s24 += amount
            d24.add(counterparty)
            if when > hour:
                n1 += 1
                s1 += amount
                d1.add(counterparty)
    if not n7:
        return QUIET
    return Activity(
        float(n1), float(n24), float(n7), s1, s24, s7, _known(d1), _known(d24), _known(d7), (at_ms - latest) / 1000.0
    )


def _counted_in_bulk(packed: bytes, at_ms: int, transaction_hash: int) -> Activity:
    """The same rule over arrays, to the same bits: for busy parties. A test holds the two together."""
    events = np.frombuffer(packed, EVENT_COLUMNS)[::-1]
    transaction, when = events["transaction"], events["when"]
    counted = (transaction != transaction_hash) & (when > at_ms - WEEK_MS) & (when <= at_ms)
    if len(set(transaction.tolist())) < len(events):
        newest_copy = np.zeros(len(events), dtype=bool)
        newest_copy[np.unique(transaction, return_index=True)[1]] = True
        counted &= newest_copy
    events = events[counted]
    if not len(events):
        return QUIET
    when, amount, counterparty = events["when"], events["amount"], events["counterparty"]
    inside = [when > at_ms - HOUR_MS, when > at_ms - DAY_MS, when > at_ms - WEEK_MS]
    n1, n24, n7 = [float(np.count_nonzero(window)) for window in inside]
    s1, s24, s7 = [_sum_in_order(amount[window]) for window in inside]
    d1, d24, d7 = [_known(set(counterparty[window].tolist())) for window in inside]
    return Activity(n1, n24, n7, s1, s24, s7, d1, d24, d7, (at_ms - int(when.max())) / 1000.0)


def _sum_in_order(amounts: np.ndarray) -> float:
    """One after the other, as a loop adds them; numpy's own sum pairs them and rounds differently."""
    return float(np.add.accumulate(amounts)[-1]) if len(amounts) else 0.0


def _known(counterparties: set[int]) -> float:
    return float(len(counterparties) - (NOBODY in counterparties))


class Replay:
    """History offline: the same reading, appending and trimming as the live store, over a dict."""

    def __init__(self) -> None:
        self._past: dict[tuple[str, str], bytes] = {}

    def observe(
        self, parties: Iterable[Party], at_ms: int, amount: float, transaction_hash: int
    ) -> dict[str, Activity]:
        """Each party's past before this transaction, which is then added to it."""
        parties = tuple(parties)
        seen = {
            party.role: summarise(self._past.get((party.role, party.name), b""), at_ms, transaction_hash)
            for party in parties
        }
        self.remember(parties, at_ms, amount, transaction_hash)
        return seen

    def remember(self, parties: Iterable[Party], at_ms: int, amount: float, transaction_hash: int) -> None:
        """Add a transaction to its parties' pasts without counting them: a tenth of the time."""
        for party in parties:
            key = (party.role, party.name)
            packed = self._past.get(key, b"") + pack(at_ms, amount, party.counterparty, transaction_hash)
            self._past[key] = trimmed(packed)


def unknown(role: Role) -> Activity:
    """What is known of a party in this role when nothing is, not even that it is new."""
    return UNKNOWN


class PastColumns:
    """Pasts of n transactions in one role as float64[n] arrays, under the structs' own names, each made when asked."""

    def __init__(self, pasts: Sequence[Activity]) -> None:
        self._pasts = pasts

    def __getattr__(self, name: str) -> np.ndarray:
        column = np.array([getattr(past, name) for past in self._pasts], dtype=np.float64)
        setattr(self, name, column)
        return column


def trimmed(packed: bytes) -> bytes:
    """The live store's rule: beyond 2 x `KEPT` events, keep the newest `KEPT`."""
    return packed[-KEPT * EVENT_BYTES :] if len(packed) > 2 * KEPT * EVENT_BYTES else packed
