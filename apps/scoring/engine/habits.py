"""The long view of a party's past: what is usual for it, by established events alone (`history.py`). Pure."""

from math import log, nan
from typing import NamedTuple

import msgspec
import numpy as np

from apps.scoring.engine.parties import Party
from apps.scoring.engine.past_events import DAY_MS, FAILED, HOUR_MS, NOBODY, are_refused, name_hash
from apps.scoring.engine.windows import QUIET, Activity, activity_of, distinct, later_than

HABIT_MS = 120 * DAY_MS
A_DAY = 3  # events of one day that count towards what is usual
LEAST_AMOUNT = 1.0  # in money: what is usual is at least so much when amounts are held against it
LEAST_HOURS = 1.0 / 60.0  # between two places: clocks are no better


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


class Names(NamedTuple):
    """What the past is held against, as events keep it: hashes of names, `NOBODY` for unknown ones."""

    counterparty: int
    kind: int
    place: int
    device: int


def names_of(party: Party) -> Names:
    """The names of a party in the present transaction."""
    return Names(name_hash(party.counterparty), name_hash(party.kind), name_hash(party.place), name_hash(party.device))


def no_habits(names: Names) -> Habits:
    """Of a party without a past: whatever device it uses is new."""
    return NO_HABITS if names.device == NOBODY else NO_HABITS_NEW_DEVICE


class _Usual(NamedTuple):
    """The established events that count towards habits, oldest first, at most `A_DAY` of a day, as arrays."""

    known: int  # established events in all
    when: np.ndarray
    day: np.ndarray
    events: np.ndarray


def habits_of(events: np.ndarray, at_ms: int, names: Names, *, speeds: bool) -> Habits:
    """The long view over arrays; `events` newest first, at least one."""
    when = np.ascontiguousarray(events["when"])
    today = later_than(when, at_ms - DAY_MS)  # the first so many are of the last 24 hours
    usual, day = _usual(events[today:], at_ms), events[:today]
    amounts = np.ascontiguousarray(usual.events["amount"])
    kinds = amounts[usual.events["kind"] == names.kind] if names.kind != NOBODY else None
    middle = _median(amounts)
    failed = when[:today][day["flags"] & FAILED != 0]
    found = (
        *msgspec.structs.astuple(activity_of(events, at_ms)),
        float(usual.known),
        (at_ms - int(usual.when[0])) / DAY_MS if usual.known else nan,
        middle,
        nan if kinds is None else float(len(kinds)),
        nan if kinds is None else _median(kinds),
        _count_of(usual.events["counterparty"], names.counterparty),
        float(day["amount"].max()) if today else nan,
        _excess(day["amount"], middle),
        float(np.count_nonzero(failed > at_ms - HOUR_MS)),
        float(len(failed)),
        *_devices(events, usual, day, at_ms, names.device),
        *_places(usual, day, names.place),
        _fastest(when, events["measure"], today, speeds),
    )
    return Habits(*found)


def _usual(established: np.ndarray, at_ms: int) -> _Usual:
    """Of events a day old, newest first, those that make a habit by what is known at `at_ms`."""
    known, flags = established[::-1], established["flags"][::-1]
    if flags.any():
        known = known[~are_refused(flags, at_ms)]
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


def _devices(events: np.ndarray, usual: _Usual, day: np.ndarray, at_ms: int, device: int) -> tuple[float, float, float]:
    """Distinct devices of 24 hours, the age of the present one in seconds, distinct established ones."""
    today = distinct(set(day["device"].tolist()))
    established = distinct(set(usual.events["device"].tolist()))
    if device == NOBODY:
        return today, nan, established
    seen = events["when"][(events["device"] == device) & ~are_refused(events["flags"], at_ms)]
    return today, (at_ms - int(seen[-1])) / 1000.0 if len(seen) else 0.0, established


def _places(usual: _Usual, day: np.ndarray, place: int) -> tuple[float, float, float]:
    """Distinct places of 24 hours, past days in the present one, whether it is away from home."""
    today = distinct(set(day["place"].tolist()))
    if place == NOBODY:
        return today, nan, nan
    days = _days_in(usual)
    spent = days.get(place, 0)
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


def _count_of(column: np.ndarray, name: int) -> float:
    return float(np.count_nonzero(column == name)) if name != NOBODY else nan


def _median(values: np.ndarray) -> float:
    """The lower one of two middles."""
    if not len(values):
        return nan
    middle = (len(values) - 1) // 2
    return float(np.partition(values, middle)[middle])
