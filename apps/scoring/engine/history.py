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
is an event but not a counterparty. `since_last` is the seconds since the latest event inside the 7 days, `max_` the
largest amount of a window, both nan when there is none.

Ahead. Clocks differ: up to `TOLERATED_AHEAD_MS` after its receipt an event is one like others, and counts from its own
time on. What is dated later still (a forgotten zone, a mistaken year) is kept apart, in a past that only transactions
dated ahead themselves look at, beside the other one (`together`): it never counts as recent when its day comes. A log
that counts from a start of its own has no receipt to be ahead of (`FOREVER`).

Habits. The long view beside the windows, for roles that ask for it: what is usual for the party, over the events looked
at that are no more than 120 days old. A theft never clears the next one:

* only what is *established* makes a habit: events a day old that were not refused (`REFUSED`: blocked, or known to be
  fraud). What a label taught later holds from the minute it was learned on, and for nothing dated before (`SINCE`);
* of one day no more than `A_DAY` events count towards what is usual, and the usual is a median: a burst is one day;
* home is the place of most of the past days, not of most events;
* a device is as old as its first event that was not refused.

Velocity, sprees and journeys count every event, refused ones too: an attempt is an attempt.

`summarise` and `habits` serve both sides, the live request and the replay of a training file, so the two agree by
construction.
"""

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from apps.scoring.engine.habits import HABIT_MS, UNKNOWN_HABITS, Habits, Names, habits_of, names_of, no_habits
from apps.scoring.engine.parties import Party, Role
from apps.scoring.engine.past_events import (
    EVENT_BYTES,
    event_of,
    is_ahead,
    newest_of,
    placed,
    refused,
    seen_at,
    together,
)
from apps.scoring.engine.transaction import FOREVER
from apps.scoring.engine.windows import FEW, QUIET, UNKNOWN, Activity, counted, counted_in_bulk, looked_at_before
from apps.text import recognised


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
        return counted_in_bulk(newest, at_ms, transaction_hash)
    return counted(newest, at_ms, transaction_hash)


def habits(packed: bytes, at_ms: int, transaction_hash: int, party: Party, *, speeds: bool = False) -> Habits:
    """What is usual for a party, as it stood before the transaction in which it is `party` now.

    `speeds`: its measures are speeds in km/h; else they are distances in km from the event before.
    """
    return habits_with(packed, at_ms, transaction_hash, names_of(party), speeds=speeds)


def habits_with(packed: bytes, at_ms: int, transaction_hash: int, names: Names, *, speeds: bool) -> Habits:
    """The same held against the names of the present transaction, as events keep them."""
    events = looked_at_before(newest_of(packed), at_ms, transaction_hash, HABIT_MS) if packed else None
    if events is None or not len(events):
        return no_habits(names)
    return habits_of(events, at_ms, names, speeds=speeds)


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
        self,
        parties: Iterable[Party],
        at_ms: int,
        amount: float,
        transaction: int,
        received_ms: int = FOREVER,
        known_ms: int | None = 0,
    ) -> None:
        """Mark a remembered transaction as one that makes no habit of its parties, as of `known_ms` (`mark_of`)."""
        for party in parties:
            key = (party.role, party.name, is_ahead(at_ms, received_ms))
            self._past[key] = refused(self._past.get(key, b""), event_of(party, at_ms, amount, transaction), known_ms)

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
