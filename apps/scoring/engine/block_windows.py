"""The window rule over many parties' events at once, and habits event by event: what `Replay` counts, for a whole log.

A log is sorted by party, then by event time, then by arrival. An event's past are the events before it in its party,
the newest `LOOKED_AT` of them. Sums run from the newest event to the oldest, as everywhere. Tests hold it to `Replay`.
"""

from collections.abc import Mapping

import numpy as np

from apps.scoring.engine.habits import HABIT_MS, Habits, Names, habits_of, no_habits
from apps.scoring.engine.past_events import DAY_MS, HOUR_MS, LOOKED_AT, NOBODY, WEEK_MS

#: Windows by the ends of their names.
WINDOWS = (("7d", WEEK_MS), ("24h", DAY_MS), ("1h", HOUR_MS))


def activity_columns(
    party: np.ndarray, when: np.ndarray, amount: np.ndarray, counterparty: np.ndarray
) -> Mapping[str, np.ndarray]:
    """The activity before each of n events, under the names of `Activity`: float64[n].

    No transaction may be there twice in a party. It takes one step over all events for each event back that any of them
    looks at.
    """
    count = len(party)
    found = {f"{what}_{window}": np.zeros(count) for window, _ in WINDOWS for what in ("count", "sum", "distinct")}
    found |= {name: np.full(count, np.nan) for name in ("since_last", *(f"max_{window}" for window, _ in WINDOWS))}
    begin, following = begins_of(party), next_with(party, counterparty)
    looking = np.arange(count)
    for back in range(1, LOOKED_AT + 1):
        seen = looking - back
        age = when[looking] - when[np.maximum(seen, 0)]
        within = (seen >= begin[looking]) & (age < WEEK_MS)
        looking, seen, age = looking[within], seen[within], age[within]
        if not len(looking):
            break
        if back == 1:
            found["since_last"][looking] = age / 1000.0
        fresh = (following[seen] >= looking) & (counterparty[seen] != NOBODY)
        _add(found, looking, age, amount[seen], fresh)
    return found


def _add(
    found: Mapping[str, np.ndarray], looking: np.ndarray, age: np.ndarray, amount: np.ndarray, fresh: np.ndarray
) -> None:
    """Count one event back of each event that looks."""
    for window, length in WINDOWS:
        if length != WEEK_MS:
            within = age < length
            looking, age, amount, fresh = looking[within], age[within], amount[within], fresh[within]
        found[f"count_{window}"][looking] += 1.0
        found[f"sum_{window}"][looking] += amount
        found[f"distinct_{window}"][looking] += fresh
        found[f"max_{window}"][looking] = np.fmax(found[f"max_{window}"][looking], amount)


def begins_of(party: np.ndarray) -> np.ndarray:
    """Of n events sorted by party, where each one's party begins: int64[n]."""
    first = np.ones(len(party), dtype=bool)
    first[1:] = party[1:] != party[:-1]
    return np.maximum.accumulate(np.where(first, np.arange(len(party)), 0))


def next_with(party: np.ndarray, counterparty: np.ndarray) -> np.ndarray:
    """Where the party's next event with the same counterparty stands, n where there is none: int64[n]."""
    count = len(party)
    order = np.lexsort((counterparty, party))
    following = np.full(count, count)
    same = (party[order[1:]] == party[order[:-1]]) & (counterparty[order[1:]] == counterparty[order[:-1]])
    following[order[:-1][same]] = order[1:][same]
    return following


def habits_before(events: np.ndarray, place: int, names: Names, *, speeds: bool) -> Habits:
    """The habits of a party before its event at `place`; `events` are all of the party's (`EVENT_COLUMNS`), sorted, of
    no transaction two."""
    at_ms = int(events["when"][place])
    looked_at = events[max(0, place - LOOKED_AT) : place]
    looked_at = looked_at[looked_at["when"].searchsorted(at_ms - HABIT_MS, "right") :]
    if not len(looked_at):
        return no_habits(names)
    return habits_of(looked_at[::-1], at_ms, names, speeds=speeds)
