"""The shape of recent activity: what is kept of a party's past, and what is counted from it. Not where it is kept.

A party's past is one bytes string of 40-byte events (`pack`) in order of event time, those of one moment in order of
arrival (`placed`). Of those that can be past by now (dated no later than the transaction was received) the newest
`KEPT` are kept: what comes late takes its place and pushes nothing newer out. A transaction looks at the newest
`LOOKED_AT` dated no later than itself (`seen_at`): counts saturate at 256.

The window rule. The window *w* at time *t* holds the events with

    t - w < event time <= t

that arrived before the present transaction. The present transaction is never part of its own past: events under its
transaction hash are left out. An event repeated under one transaction hash takes the place of the earlier one, so
writing an event twice after a crash changes nothing. Windows are 1 hour, 24 hours and 7 days. An unknown counterparty
is an event but not a counterparty. `since_last` is the seconds since the latest event inside the 7 days, nan when none.

Ahead. Clocks differ: up to `TOLERATED_AHEAD_MS` after its receipt an event is one like others, and counts from its own
time on. What is dated later still (a forgotten zone, a mistaken year) is kept apart, in a past that only transactions
dated ahead themselves look at, beside the other one (`together`): it never counts as recent when its day comes. A log
that counts from a start of its own has no receipt to be ahead of (`FOREVER`).

Habits. The long view beside the windows, for roles that ask for it: what is usual for the party, over all the events
looked at that are no more than 120 days old, by the same rules.

`summarise` and `habits` serve both sides, the live request and the replay of a training file, so the two agree by
construction.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from math import inf, nan, sqrt
from struct import Struct

import msgspec
import numpy as np

from apps.scoring.engine.transaction import FOREVER, Party, Role

# Event time in ms, amount, counterparty hash, transaction hash, kind hash, measure.
EVENT = Struct("<qdQQIf")
EVENT_BYTES = EVENT.size
_WHEN = Struct("<q")
_TRANSACTION = slice(24, 32)  # of an event's bytes
EVENT_COLUMNS = np.dtype(
    [("when", "<i8"), ("amount", "<f8"), ("counterparty", "<u8"), ("transaction", "<u8"), ("kind", "<u4"),
     ("measure", "<f4")]
)  # fmt: skip
_LOOKED_THROUGH = ("when", "amount", "kind", "measure")
LOOKED_AT = 256  # events of a party, the newest at the transaction's time
KEPT = 512  # events of a party, the newest at the time of receipt; as many again dated after it
TRIMMED_AT = 640  # events: cutting off one at a time would write the whole past each time
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
HABIT_MS = 120 * DAY_MS
TOLERATED_AHEAD_MS = HOUR_MS // 4
NIGHT_BEGINS, NIGHT_HOURS = 22, 6  # UTC
MOST_MEASURE = 3.0e38  # a float32 holds no more
#: How far counts and spans of recent activity reach; sums of amounts from 0 on do as well, without an end.
COUNTS, WEEK_SECONDS, FROM_NOTHING = (0.0, float(LOOKED_AT)), (0.0, WEEK_MS / 1000.0), (0.0, inf)
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


class Habits(Activity, frozen=True):
    """Activity and what is usual for a party, over its known events of up to 120 days; all nan when unknown.

    Means, shares, latest and largest values are nan where there is no event to take them from, spreads (standard
    deviations) where there are fewer than two. Events whose measure is unknown don't count in measures. "Kind" fields
    are over the events of the present transaction's kind, "same" ones count what agrees with it. "Today" is the present
    transaction's calendar day (UTC) as far as it has gone.
    """

    known: float
    known_days: float  # since the oldest known event
    usual_amount: float
    spread_amount: float
    last_amount: float
    largest_1h: float
    largest_24h: float
    night_share: float  # of events between 22 and 4 o'clock, UTC
    kinds_24h: float  # distinct kinds
    same_counterparty: float
    same_kind: float
    kind_amount: float  # mean
    kind_spread: float
    kind_last_amount: float
    kind_since_last: float  # seconds
    usual_measure: float
    largest_measure: float
    last_measure: float
    measure_24h: float  # sums
    measure_today: float
    measure_yesterday: float
    measure_before: float  # the day before yesterday
    count_today: float
    count_yesterday: float


UNKNOWN = Activity(*[nan] * len(Activity.__struct_fields__))
QUIET = Activity(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, nan)
UNKNOWN_HABITS = Habits(*[nan] * len(Habits.__struct_fields__))
COUNTED_HABITS = (
    "known", "kinds_24h", "same_counterparty", "same_kind", "measure_24h", "measure_today", "measure_yesterday",
    "measure_before", "count_today", "count_yesterday",
)  # fmt: skip
NO_HABITS = msgspec.structs.replace(
    UNKNOWN_HABITS,
    **msgspec.structs.asdict(QUIET),
    **dict.fromkeys(COUNTED_HABITS, 0.0),
)


def name_hash(name: str) -> int:
    """64 bits of BLAKE2b of a name; an empty name is `NOBODY`."""
    if not name:
        return NOBODY
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")


@lru_cache(maxsize=4096)
def kind_hash(kind: str) -> int:
    """32 bits of BLAKE2b of a kind; an empty one is `NOBODY`."""
    return int.from_bytes(blake2b(kind.encode(), digest_size=4).digest(), "little") if kind else NOBODY


def pack(
    at_ms: int, amount: float, counterparty: str, transaction_hash: int, kind: str = "", measure: float = nan
) -> bytes:
    """One event as 40 bytes, ready to be appended to a party's past. The measure keeps 7 digits."""
    held = min(max(measure, -MOST_MEASURE), MOST_MEASURE)
    return EVENT.pack(at_ms, amount, name_hash(counterparty), transaction_hash, kind_hash(kind), held)


def event_of(party: Party, at_ms: int, amount: float, transaction_hash: int) -> bytes:
    """A transaction as it is kept in the past of one of its parties."""
    return pack(at_ms, amount, party.counterparty, transaction_hash, party.kind, party.measure)


def past_of(role: Role, party: Party, packed: bytes, at_ms: int, transaction_hash: int) -> Activity:
    """What the party's role wants to know of its past: `Habits` or `Activity`."""
    if role.habits:
        return habits(packed, at_ms, transaction_hash, party)
    return summarise(packed, at_ms, transaction_hash)


def summarise(packed: bytes, at_ms: int, transaction_hash: int) -> Activity:
    """Count a party's past as it stood before the transaction `transaction_hash` at `at_ms`.

    Sums run from the newest event to the oldest, always in that order. A torn tail, short of an event, is cut off.
    """
    if not packed:
        return QUIET
    newest = newest_of(packed)
    if len(newest) > FEW * EVENT_BYTES:
        return _counted_in_bulk(newest, at_ms, transaction_hash)
    return _counted(newest, at_ms, transaction_hash)


def habits(packed: bytes, at_ms: int, transaction_hash: int, party: Party) -> Habits:
    """What is usual for a party, as it stood before the transaction in which it is `party` now."""
    if not packed:
        return NO_HABITS
    events = _before(newest_of(packed), at_ms, transaction_hash, HABIT_MS)
    if not len(events):
        return NO_HABITS
    return _habits_of(events, at_ms, name_hash(party.counterparty), kind_hash(party.kind))


def newest_of(packed: bytes) -> bytes:
    """The last events of a past, as many as are looked at."""
    usable = len(packed) - len(packed) % EVENT_BYTES
    return packed[max(0, usable - LOOKED_AT * EVENT_BYTES) : usable]


def _counted(packed: bytes, at_ms: int, transaction_hash: int) -> Activity:
    """The window rule, event by event: fastest for the few events most parties have."""
    seen = {transaction_hash}
    hour, day, week, latest = at_ms - HOUR_MS, at_ms - DAY_MS, at_ms - WEEK_MS, at_ms - WEEK_MS
    n1 = n24 = n7 = 0
    s1 = s24 = s7 = 0.0
    d1: set[int] = set()
    d24: set[int] = set()
    d7: set[int] = set()
    for when, amount, counterparty, transaction, _, _ in reversed(list(EVENT.iter_unpack(packed))):
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
    return _activity_of(_before(packed, at_ms, transaction_hash, WEEK_MS), at_ms)


def _before(packed: bytes, at_ms: int, transaction_hash: int, window_ms: int) -> np.ndarray:
    """The events that count at `at_ms`, newest first."""
    events = np.frombuffer(packed, EVENT_COLUMNS)[::-1]
    transaction, when = events["transaction"], events["when"]
    counted = (transaction != transaction_hash) & (when > at_ms - window_ms) & (when <= at_ms)
    if len(set(transaction.tolist())) < len(events):
        newest_copy = np.zeros(len(events), dtype=bool)
        newest_copy[np.unique(transaction, return_index=True)[1]] = True
        counted &= newest_copy
    return events[counted]


def _activity_of(events: np.ndarray, at_ms: int) -> Activity:
    if not len(events):
        return QUIET
    when, amount, counterparty = events["when"], events["amount"], events["counterparty"]
    inside = [when > at_ms - HOUR_MS, when > at_ms - DAY_MS, when > at_ms - WEEK_MS]
    n1, n24, n7 = [float(np.count_nonzero(window)) for window in inside]
    s1, s24, s7 = [_sum_in_order(amount[window]) for window in inside]
    d1, d24, d7 = [_known(set(counterparty[window].tolist())) for window in inside]
    return Activity(n1, n24, n7, s1, s24, s7, d1, d24, d7, (at_ms - int(when.max())) / 1000.0 if n7 else nan)


def _habits_of(events: np.ndarray, at_ms: int, counterparty: int, kind: int) -> Habits:
    """The long view over arrays; `events` newest first, at least one."""
    when, amount, kinds, measure = (np.ascontiguousarray(events[name]) for name in _LOOKED_THROUGH)
    alike = kinds == kind if kind else np.zeros(len(events), dtype=bool)
    kind_amount, kind_at = amount[alike], when[alike]
    hour, day = when > at_ms - HOUR_MS, when > at_ms - DAY_MS
    days_ago = at_ms // DAY_MS - when // DAY_MS
    today, yesterday = days_ago == 0, days_ago == 1
    measured = measure == measure
    measures = measure[measured].astype(np.float64)
    found = (
        *msgspec.structs.astuple(_activity_of(events, at_ms)),
        float(len(events)),
        (at_ms - int(when.min())) / DAY_MS,
        *_mean_and_spread(amount),
        float(amount[when.argmax()]),
        _largest(amount[hour]),
        _largest(amount[day]),
        float(np.count_nonzero((when // HOUR_MS - NIGHT_BEGINS) % 24 < NIGHT_HOURS)) / len(events),
        _known(set(kinds[day].tolist())),
        float(np.count_nonzero(events["counterparty"] == counterparty)) if counterparty else 0.0,
        float(len(kind_amount)),
        *_mean_and_spread(kind_amount),
        float(kind_amount[kind_at.argmax()]) if len(kind_at) else nan,
        (at_ms - int(kind_at.max())) / 1000.0 if len(kind_at) else nan,
        _mean(measures),
        _largest(measures),
        float(measures[when[measured].argmax()]) if len(measures) else nan,
        *[_sum_in_order(measures[days[measured]]) for days in (day, today, yesterday, days_ago == 2)],
        float(np.count_nonzero(today)),
        float(np.count_nonzero(yesterday)),
    )
    return Habits(*found)


def _mean(values: np.ndarray) -> float:
    return _sum_in_order(values) / len(values) if len(values) else nan


def _mean_and_spread(values: np.ndarray) -> tuple[float, float]:
    mean = _mean(values)
    away = values - mean
    return mean, sqrt(_sum_in_order(away * away) / len(values)) if len(values) > 1 else nan


def _largest(values: np.ndarray) -> float:
    return float(values.max()) if len(values) else nan


def _sum_in_order(amounts: np.ndarray) -> float:
    """One after the other, as a loop adds them; numpy's own sum pairs them and rounds differently."""
    return float(np.add.accumulate(amounts)[-1]) if len(amounts) else 0.0


def _known(counterparties: set[int]) -> float:
    return float(len(counterparties) - (NOBODY in counterparties))


def is_ahead(at_ms: int, received_ms: int) -> bool:
    """Whether a transaction is dated later than clocks differ."""
    return at_ms > received_ms + TOLERATED_AHEAD_MS


def seen_at(past: bytes, at_ms: int, received_ms: int = FOREVER) -> bytes:
    """What a transaction dated `at_ms` looks at of a party's past."""
    end = _upto(past, at_ms)
    kept_from = _upto(past, received_ms) - KEPT * EVENT_BYTES if end < len(past) else 0
    return past[max(0, kept_from, end - LOOKED_AT * EVENT_BYTES) : end]


def placed(past: bytes, event: bytes, received_ms: int = FOREVER) -> bytes:
    """The past with one more event in its place, after those of the same moment; or in place of its earlier copy.

    An event older than all that are kept is left out. One that is the latest looks for its copy among those that are
    looked at. `activity.lua` does the same to the bit: a test holds the two together.
    """
    end = _upto(past, _when(event))
    known = _copy_of(event, past, len(past) - LOOKED_AT * EVENT_BYTES if end == len(past) else 0)
    if known < 0:
        return _inserted(past, event, end, received_ms)
    if past.startswith(event, known):
        return past
    others = past[:known] + past[known + EVENT_BYTES :]
    end = _upto(others, _when(event))
    return others[:end] + event + others[end:]


def together(past: bytes, ahead: bytes) -> bytes:
    """What a transaction dated ahead looks at of both pasts, in order of event time."""
    if not ahead:
        return past
    events = np.frombuffer(past + ahead, EVENT_COLUMNS)
    return newest_of(events[np.argsort(events["when"], kind="stable")].tobytes())


def _inserted(past: bytes, event: bytes, end: int, received_ms: int) -> bytes:
    if end < len(past) and len(past) >= KEPT * EVENT_BYTES and end <= _upto(past, received_ms) - KEPT * EVENT_BYTES:
        return past
    return _trimmed(past[:end] + event + past[end:], received_ms)


def _trimmed(past: bytes, received_ms: int) -> bytes:
    """The newest `KEPT` of what can be past by now, and of what is dated later; once there are enough to cut off."""
    if len(past) <= TRIMMED_AT * EVENT_BYTES:
        return past
    by_now = _upto(past, received_ms)
    if max(by_now, len(past) - by_now) <= TRIMMED_AT * EVENT_BYTES:
        return past
    kept = KEPT * EVENT_BYTES
    return past[max(0, by_now - kept) : by_now] + past[max(by_now, len(past) - kept) :]


def _when(past: bytes, at: int = 0) -> int:
    return int(_WHEN.unpack_from(past, at)[0])


def _upto(past: bytes, at_ms: int) -> int:
    """Where the events end that are dated no later than `at_ms`, in bytes."""
    if not past or _when(past, len(past) - EVENT_BYTES) <= at_ms:
        return len(past)
    return int(np.frombuffer(past, EVENT_COLUMNS)["when"].searchsorted(at_ms, "right")) * EVENT_BYTES


def _copy_of(event: bytes, past: bytes, start: int) -> int:
    """Where from `start` on an event of the same transaction stands in the past, -1 when none does."""
    found = past.find(event[_TRANSACTION], max(0, start))
    while found >= 0 and found % EVENT_BYTES != _TRANSACTION.start:
        found = past.find(event[_TRANSACTION], found + 1)
    return found - _TRANSACTION.start if found >= 0 else -1


class Replay:
    """History offline: the same looking, placing and trimming as the live store, over a dict.

    `received_ms` is when a transaction was received; without it nothing is ahead.
    """

    def __init__(self, roles: Iterable[Role]) -> None:
        self._roles = {role.name: role for role in roles}
        self._past: dict[tuple[str, str, bool], bytes] = {}

    def observe(
        self, parties: Iterable[Party], at_ms: int, amount: float, transaction_hash: int, received_ms: int = FOREVER
    ) -> dict[str, Activity]:
        """Each party's past before this transaction, which is then added to it."""
        parties = tuple(parties)
        seen = self.look(parties, at_ms, transaction_hash, received_ms)
        self.remember(parties, at_ms, amount, transaction_hash, received_ms)
        return seen

    def look(
        self, parties: Iterable[Party], at_ms: int, transaction_hash: int, received_ms: int = FOREVER
    ) -> dict[str, Activity]:
        """Each party's past before this transaction."""
        return {
            party.role: past_of(
                self._roles[party.role], party, self._seen(party, at_ms, received_ms), at_ms, transaction_hash
            )
            for party in parties
        }

    def remember(
        self, parties: Iterable[Party], at_ms: int, amount: float, transaction_hash: int, received_ms: int = FOREVER
    ) -> None:
        """Add a transaction to its parties' pasts without counting them: a tenth of the time."""
        ahead = is_ahead(at_ms, received_ms)
        for party in parties:
            key = (party.role, party.name, ahead)
            event = event_of(party, at_ms, amount, transaction_hash)
            self._past[key] = placed(self._past.get(key, b""), event, received_ms)

    def _seen(self, party: Party, at_ms: int, received_ms: int) -> bytes:
        past = seen_at(self._past.get((party.role, party.name, False), b""), at_ms, received_ms)
        if not is_ahead(at_ms, received_ms):
            return past
        return together(past, seen_at(self._past.get((party.role, party.name, True), b""), at_ms, received_ms))


def unknown(role: Role) -> Activity:
    """What is known of a party in this role when nothing is, not even that it is new."""
    return UNKNOWN_HABITS if role.habits else UNKNOWN


class PastColumns:
    """Pasts of n transactions in one role as float64[n] arrays, under the structs' own names, each made when asked."""

    def __init__(self, pasts: Sequence[Activity]) -> None:
        self._pasts = pasts

    def __getattr__(self, name: str) -> np.ndarray:
        column = np.array([getattr(past, name) for past in self._pasts], dtype=np.float64)
        setattr(self, name, column)
        return column
