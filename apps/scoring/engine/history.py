"""The shape of recent activity: what is kept of a party's past, and what is counted from it. Not where it is kept.

A party's past is one bytes string of 48-byte events (`pack`) in order of event time, those of one moment in order of
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

Habits. The long view beside the windows, for roles that ask for it: what is usual for the party, over the events looked
at that are no more than 120 days old. A theft never clears the next one:

* only what is *established* makes a habit: events a day old that were not refused (`REFUSED`: blocked, or known to be
  fraud since);
* of one day no more than `A_DAY` events count towards what is usual, and the usual is a median: a burst is one day;
* home is the place of most of the past days, not of most events;
* a device is as old as its first event that was not refused.

Velocity, sprees and journeys count every event, refused ones too: an attempt is an attempt.

`summarise` and `habits` serve both sides, the live request and the replay of a training file, so the two agree by
construction.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b
from math import inf, log, nan
from struct import Struct
from typing import NamedTuple

import msgspec
import numpy as np

from apps.scoring.engine.transaction import FOREVER, Party, Role
from apps.text import recognised

# Event time in ms, amount, transaction hash, hashes of counterparty, kind, place and device, measure, flags.
EVENT = Struct("<qdQIIIIfI")
EVENT_BYTES = EVENT.size
_WHEN = Struct("<q")
_FLAGS = Struct("<I")
_TRANSACTION = slice(16, 24)  # of an event's bytes
FLAGS_AT = 44
EVENT_COLUMNS = np.dtype(
    [("when", "<i8"), ("amount", "<f8"), ("transaction", "<u8"), ("counterparty", "<u4"), ("kind", "<u4"),
     ("place", "<u4"), ("device", "<u4"), ("measure", "<f4"), ("flags", "<u4")]
)  # fmt: skip
REFUSED, FAILED = 1, 2  # flags: blocked or known to be fraud; refused by whoever was asked to pay
LOOKED_AT = 256  # events of a party, the newest at the transaction's time
KEPT = 512  # events of a party, the newest at the time of receipt; as many again dated after it
TRIMMED_AT = 640  # events: cutting off one at a time would write the whole past each time
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
HABIT_MS = 120 * DAY_MS
TOLERATED_AHEAD_MS = HOUR_MS // 4
A_DAY = 3  # events of one day that count towards what is usual
LEAST_AMOUNT = 1.0  # in money: what is usual is at least so much when amounts are held against it
LEAST_HOURS = 1.0 / 60.0  # between two places: clocks are no better
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
    """Activity and what is usual for a party, over its events of up to 120 days; all nan when unknown.

    What is taken from established events is nan where there is none. "Kind", "merchant", "device" and "place" fields
    hold the past against the present transaction's own, and are nan where that was not sent.
    """

    known: float  # established events
    known_days: float  # since the oldest of them
    usual_amount: float  # median
    kind_known: float  # established events of this kind
    kind_amount: float  # their median
    merchant_known: float  # established events with this counterparty
    largest_24h: float
    excess_24h: float  # how far the day's amounts went beyond the usual: sum of the logarithms of how many times
    failed_1h: float
    failed_24h: float
    devices_24h: float  # distinct
    device_age: float  # seconds since this device was first seen, 0 when it never was
    devices_known: float  # distinct established devices, whichever is used now
    places_24h: float  # distinct
    place_days: float  # past days on which the party was in this place
    abroad: float  # 1 when this place is not home, 0 when it is; nan when home is not known
    fastest_24h: float  # km/h from an event to the next, the present one not included


UNKNOWN = Activity(*[nan] * len(Activity.__struct_fields__))
QUIET = Activity(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, nan)
UNKNOWN_HABITS = Habits(*[nan] * len(Habits.__struct_fields__))
#: Of somebody new: nothing is established and nothing happened; what the present is held against is not known.
NO_HABITS = msgspec.structs.replace(
    UNKNOWN_HABITS,
    **msgspec.structs.asdict(QUIET),
    **dict.fromkeys(
        ("known", "kind_known", "merchant_known", "failed_1h", "failed_24h", "devices_24h", "devices_known",
         "places_24h", "place_days"), 0.0,
    ),
)  # fmt: skip
NO_HABITS_NEW_DEVICE = msgspec.structs.replace(NO_HABITS, device_age=0.0)


@lru_cache(maxsize=4096)
def name_hash(name: str) -> int:
    """32 bits of BLAKE2b of a name; an empty name is `NOBODY`. Among 256 events no two names are taken for one."""
    return int.from_bytes(blake2b(name.encode(), digest_size=4).digest(), "little") if name else NOBODY


def transaction_hash(name: str) -> int:
    """64 bits of BLAKE2b of a transaction's name."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")


def event_of(party: Party, at_ms: int, amount: float, transaction: int) -> bytes:
    """A transaction as it is kept in the past of one of its parties: 48 bytes. The measure keeps 7 digits."""
    measure = min(max(party.measure, -MOST_MEASURE), MOST_MEASURE)
    names = (name_hash(party.counterparty), name_hash(party.kind), name_hash(party.place), name_hash(party.device))
    return EVENT.pack(at_ms, amount, transaction, *names, measure, FAILED if party.failed else 0)


def mark_of(event: bytes) -> tuple[bytes, bytes]:
    """An event's transaction, as it stands in the event, and the flags that mark it as one that makes no habit."""
    (flags,) = _FLAGS.unpack_from(event, FLAGS_AT)
    return event[_TRANSACTION], _FLAGS.pack(flags | REFUSED)


def refused(past: bytes, event: bytes) -> bytes:
    """The past with this event of it marked as one that makes no habit; `refusal.lua` does the same."""
    _, flags = mark_of(event)
    at = _copy_of(event, past, 0)
    return past if at < 0 else past[: at + FLAGS_AT] + flags + past[at + EVENT_BYTES :]


def past_of(role: Role, party: Party, packed: bytes, at_ms: int, transaction_hash: int) -> Activity:
    """What the party's role wants to know of its past: `Habits` or `Activity`."""
    if role.habits:
        return habits(packed, at_ms, transaction_hash, party, speeds=role.speeds)
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


def habits(packed: bytes, at_ms: int, transaction_hash: int, party: Party, *, speeds: bool = False) -> Habits:
    """What is usual for a party, as it stood before the transaction in which it is `party` now.

    `speeds`: its measures are speeds in km/h; else they are distances in km from the event before.
    """
    events = _before(newest_of(packed), at_ms, transaction_hash, HABIT_MS) if packed else None
    if events is None or not len(events):
        return NO_HABITS_NEW_DEVICE if party.device else NO_HABITS
    return _habits_of(events, at_ms, party, speeds=speeds)


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
    for when, amount, transaction, counterparty, *_ in reversed(list(EVENT.iter_unpack(packed))):
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


def _activity_of(events: np.ndarray, at_ms: int) -> Activity:
    """The windows over arrays; `events` newest first."""
    when, counterparty = events["when"], events["counterparty"].tolist()
    n1, n24, n7 = (_since(when, at_ms - window) for window in (HOUR_MS, DAY_MS, WEEK_MS))
    if not n7:
        return QUIET
    sums = np.add.accumulate(events["amount"][:n7])  # one after the other, as a loop adds them
    s1, s24, s7 = (float(sums[count - 1]) if count else 0.0 for count in (n1, n24, n7))
    d1, d24, d7 = (_known(set(counterparty[:count])) for count in (n1, n24, n7))
    return Activity(float(n1), float(n24), float(n7), s1, s24, s7, d1, d24, d7, (at_ms - int(when[0])) / 1000.0)


def _since(when: np.ndarray, at_ms: int) -> int:
    """How many of the times, newest first, are later than a moment."""
    return len(when) - int(when[::-1].searchsorted(at_ms, "right"))


class _Usual(NamedTuple):
    """The established events that count towards habits, oldest first, at most `A_DAY` of a day, as arrays."""

    known: int  # established events in all
    when: np.ndarray
    day: np.ndarray
    events: np.ndarray


def _habits_of(events: np.ndarray, at_ms: int, party: Party, *, speeds: bool) -> Habits:
    """The long view over arrays; `events` newest first, at least one."""
    when = np.ascontiguousarray(events["when"])
    today = _since(when, at_ms - DAY_MS)  # the first so many are of the last 24 hours
    usual, day = _usual(events[today:]), events[:today]
    amounts = np.ascontiguousarray(usual.events["amount"])
    kinds = amounts[usual.events["kind"] == name_hash(party.kind)] if party.kind else None
    middle = _median(amounts)
    failed = when[:today][day["flags"] & FAILED != 0]
    found = (
        *msgspec.structs.astuple(_activity_of(events, at_ms)),
        float(usual.known),
        (at_ms - int(usual.when[0])) / DAY_MS if usual.known else nan,
        middle,
        nan if kinds is None else float(len(kinds)),
        nan if kinds is None else _median(kinds),
        _count_of(usual.events["counterparty"], party.counterparty),
        float(day["amount"].max()) if today else nan,
        _excess(day["amount"], middle),
        float(np.count_nonzero(failed > at_ms - HOUR_MS)),
        float(len(failed)),
        *_devices(events, usual, day, at_ms, party),
        *_places(usual, day, party),
        _fastest(when, events["measure"], today, speeds),
    )
    return Habits(*found)


def _usual(established: np.ndarray) -> _Usual:
    """Of events a day old, newest first, those that make a habit."""
    known, flags = established[::-1], established["flags"][::-1]
    if flags.any():
        known = known[flags & REFUSED == 0]
    when = known["when"]
    day = when // DAY_MS
    counted = np.ones(len(known), dtype=bool)
    np.not_equal(day[A_DAY:], day[:-A_DAY], out=counted[A_DAY:])
    kept = counted.nonzero()[0]
    if len(kept) == len(known):
        return _Usual(len(known), when, day, known)
    return _Usual(len(known), when[kept], day[kept], known[kept])


def _excess(amounts: np.ndarray, usual: float) -> float:
    """How far amounts go beyond the usual one, each as a logarithm, summed; nan when the usual one is not known."""
    if usual != usual:
        return nan
    least = max(LEAST_AMOUNT, usual)
    return sum([log(amount / least) for amount in amounts.tolist() if amount > least], 0.0)


def _devices(
    events: np.ndarray, usual: _Usual, day: np.ndarray, at_ms: int, party: Party
) -> tuple[float, float, float]:
    """Distinct devices of 24 hours, the age of the present one in seconds, distinct established ones."""
    today = _known(set(day["device"].tolist()))
    established = _known(set(usual.events["device"].tolist()))
    if not party.device:
        return today, nan, established
    seen = events["when"][(events["device"] == name_hash(party.device)) & (events["flags"] & REFUSED == 0)]
    return today, (at_ms - int(seen[-1])) / 1000.0 if len(seen) else 0.0, established


def _places(usual: _Usual, day: np.ndarray, party: Party) -> tuple[float, float, float]:
    """Distinct places of 24 hours, past days in the present one, whether it is away from home."""
    today = _known(set(day["place"].tolist()))
    if not party.place:
        return today, nan, nan
    days = _days_in(usual)
    spent = days.get(name_hash(party.place), 0)
    return today, float(spent), float(spent < max(days.values())) if days else nan


def _days_in(usual: _Usual) -> dict[int, int]:
    """Place → on how many days the party was there."""
    places, days = usual.events["place"].tolist(), usual.day.tolist()
    if len(set(places)) == 1:
        return {places[0]: len(set(days))} if places[0] != NOBODY else {}
    found: dict[int, int] = {}
    for place, _ in set(zip(places, days, strict=True)):
        found[place] = found.get(place, 0) + 1
    found.pop(NOBODY, None)
    return found


def _fastest(when: np.ndarray, measure: np.ndarray, today: int, speeds: bool) -> float:
    """km/h of the last 24 hours' fastest journey; nan when none is known. A distance is travelled since the event
    before."""
    if not today:
        return nan
    found = measure[:today].astype(np.float64)
    if not speeds:
        found = found[: len(when) - 1]
        hours = (when[: len(found)] - when[1 : len(found) + 1]) / HOUR_MS
        found = found / np.maximum(hours, LEAST_HOURS)
    found = found[found == found]
    return float(found.max()) if len(found) else nan


def _count_of(column: np.ndarray, name: str) -> float:
    return float(np.count_nonzero(column == name_hash(name))) if name else nan


def _median(values: np.ndarray) -> float:
    """The lower one of two middles."""
    if not len(values):
        return nan
    middle = (len(values) - 1) // 2
    return float(np.partition(values, middle)[middle])


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

    def refuse(
        self, parties: Iterable[Party], at_ms: int, amount: float, transaction: int, received_ms: int = FOREVER
    ) -> None:
        """Mark a remembered transaction as one that makes no habit of its parties."""
        for party in parties:
            key = (party.role, party.name, is_ahead(at_ms, received_ms))
            self._past[key] = refused(self._past.get(key, b""), event_of(party, at_ms, amount, transaction))

    def _seen(self, party: Party, at_ms: int, received_ms: int) -> bytes:
        past = seen_at(self._past.get((party.role, party.name, False), b""), at_ms, received_ms)
        if not is_ahead(at_ms, received_ms):
            return past
        return together(past, seen_at(self._past.get((party.role, party.name, True), b""), at_ms, received_ms))


def told_home(past: Activity, place: str, home: str) -> Activity:
    """The past of somebody in `place` whose own home is not known, with what the tenant says of home ("" for nothing).

    Nothing is told of somebody we know: home is then where most of the past days were.
    """
    if not (isinstance(past, Habits) and past.abroad != past.abroad and place and home):
        return past
    return msgspec.structs.replace(past, abroad=float(recognised(place) != recognised(home)))


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
