"""Where recent activity is kept: a string of packed events a party, in Valkey, expiring by itself.

It is read and added to in the gate's own call (a rider), so that history costs no round trip and a refused request
leaves no trace. What the numbers mean is `engine/history.py`, used for a replayed file as well: online and offline
can't drift apart. Adding an event twice is harmless: it counts once by its transaction's hash. A duplicate adds none.

No name gets there, nor a hash of one that could be guessed at: parties are handed to history under keyed hashes.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from apps.api_keys.gate import Names, Rider, with_rider
from apps.scoring.engine import history
from apps.scoring.engine.transaction import Parsed, Party, Role, TransactionSchema
from apps.scoring.serving.ids import party_hash as hide
from apps.valkey import Argument, Script


def _script() -> Script:
    """The gate's script with the activity's, the engine's numbers put in."""
    lua = (Path(__file__).parent / "activity.lua").read_text()
    for name in ("LOOKED_AT", "KEPT", "TRIMMED_AT"):
        lua = lua.replace(name, str(getattr(history, name) * history.EVENT_BYTES))
    return with_rider(lua)


ACTIVITY = _script()
#: The longest window is 7 days of the transactions' own time; a party nobody names for 8 days is forgotten, one whose
#: habits are asked for when nothing of it counts any more.
LIFE_SECONDS = 8 * 24 * 3600
HABITS_LIFE_SECONDS = history.HABIT_MS // 1000

Activities = Mapping[str, history.Activity]  # by role


class Seen(NamedTuple):
    """One transaction as history sees it: its parties as they may be stored, told by keyed hashes alone."""

    schema: TransactionSchema
    parsed: Parsed
    transaction_hash: int
    parties: tuple[Party, ...]


def seen(schema: TransactionSchema, parsed: Parsed, transaction_hash: int) -> Seen:
    """A transaction for history: who its parties are, whom they deal with and of what kind is hidden here."""
    parties = [
        Party(one.role, hide(one.name), hide(one.counterparty), hide(one.kind), one.measure)
        for one in schema.parties(parsed.transaction)
    ]
    return Seen(schema, parsed, transaction_hash, tuple(parties))


def rider(names: Names, rows: Sequence[Seen], *, add: bool) -> Rider | None:
    """What the gate's call has to read and add; None when nobody is named."""
    keys: list[str] = []
    arguments: list[Argument] = [rows[0].parsed.received_ms if rows else 0]
    for number, row in enumerate(rows, start=1):
        transaction, at_ms, adds = row.parsed.transaction, row.parsed.at_ms, number if add else 0
        amount, ahead = row.schema.amount(transaction), _is_ahead(row)
        for party in row.parties:
            life = life_seconds(row.schema.role_of[party.role])
            event = history.event_of(party, at_ms, amount, row.transaction_hash)
            keys.append(names.party(row.schema.name, party.role, party.name))
            arguments += (0 if ahead else adds, life, event)
            if ahead:
                keys.append(names.party_ahead(row.schema.name, party.role, party.name))
                arguments += (adds, life, event)
    return Rider(ACTIVITY, keys, arguments) if keys else None


def summarised(rows: Sequence[Seen], answers: Sequence[bytes]) -> list[Activities]:
    """The rider's answer as the recent activity of every row's parties."""
    remaining = iter(answers)
    return [_of_row(row, remaining) for row in rows]


def life_seconds(role: Role) -> int:
    """How long a party's past is kept after it was last named."""
    return HABITS_LIFE_SECONDS if role.habits else LIFE_SECONDS


def _is_ahead(row: Seen) -> bool:
    return history.is_ahead(row.parsed.at_ms, row.parsed.received_ms)


def _of_row(row: Seen, answers: Iterator[bytes]) -> Activities:
    at_ms, ahead = row.parsed.at_ms, _is_ahead(row)
    found = {}
    for party in row.parties:
        past = history.together(next(answers), next(answers)) if ahead else next(answers)
        found[party.role] = history.past_of(row.schema.role_of[party.role], party, past, at_ms, row.transaction_hash)
    return found
