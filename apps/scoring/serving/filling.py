"""Decisions that no call made known to the live store, among their parties' recent activity: those of files, of tenants
whose own models are asked afterwards. Their models learned from features that know of these decisions.

Events are packed as they come, 56 bytes each, and written party by party; what the store has already stays as it is.
"""

from array import array
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from apps.api_keys.gate import Names
from apps.scoring.engine import past_events
from apps.scoring.engine.past_events import EVENT_COLUMNS, FLAGS_AT, KEPT
from apps.scoring.serving import activity
from apps.scoring.serving.activity import Seen
from apps.valkey import Argument, Script, Valkey

FILL = Script(activity.lua_of("fill.lua"))
#: Parties of one call: merging two whole pasts takes Lua half a millisecond.
AT_ONCE = 20


class Filled(NamedTuple):
    """A party's key, its events in order of time, its life in seconds."""

    key: str
    past: bytes
    life: int


class Filling:
    """Events on their way into the pasts of a tenant's parties."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._numbers: dict[tuple[str, int], int] = {}  # of parties by key and life
        self._party = array("q")
        self._events = bytearray()

    def add(self, row: Seen, refused_ms: int | None = None) -> None:
        """Add a transaction; `refused_ms`: when it was known that it makes no habit (0: at once). One dated ahead of
        the clocks is left out."""
        if past_events.is_ahead(row.parsed.at_ms, row.parsed.received_ms):
            return
        for party, event in zip(row.parties, activity.events_of(row), strict=True):
            if refused_ms is not None:
                _, flags = past_events.mark_of(event, refused_ms)
                event = event[:FLAGS_AT] + flags
            key = self._names.party(row.schema.name, party.role, party.name)
            life = activity.life_seconds(row.schema.role_of[party.role])
            self._party.append(self._numbers.setdefault((key, life), len(self._numbers)))
            self._events += event

    def pasts(self) -> Iterator[Filled]:
        """Each party's newest events; of a transaction that came twice what came last."""
        party, events = np.array(self._party, np.int64), np.frombuffer(bytes(self._events), EVENT_COLUMNS)
        last = _last_of_each(party, events["transaction"])
        order = last[np.lexsort((last, events["when"][last], party[last]))]
        parties, begins = np.unique(party[order], return_index=True)
        known = list(self._numbers)
        for one, (begin, end) in zip(parties.tolist(), pairwise([*begins.tolist(), len(order)]), strict=True):
            yield Filled(known[one][0], events[order[max(begin, end - KEPT) : end]].tobytes(), known[one][1])

    def write(self, valkey: Valkey) -> None:
        """Put them into the live store. Raises `Away`."""
        pasts = list(self.pasts())
        for start in range(0, len(pasts), AT_ONCE):
            some = pasts[start : start + AT_ONCE]
            arguments: list[Argument] = [argument for one in some for argument in (one.past, one.life)]
            valkey.run(FILL, [one.key for one in some], arguments)


def _last_of_each(party: np.ndarray, transaction: np.ndarray) -> np.ndarray:
    """Places of the last events of each party's transactions, in order."""
    order = np.lexsort((np.arange(len(party)), transaction, party))
    same = (party[order[1:]] == party[order[:-1]]) & (transaction[order[1:]] == transaction[order[:-1]])
    return np.sort(order[np.r_[~same, True][: len(order)]])
