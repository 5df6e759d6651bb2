"""The store of recent activity: a string of packed events a party, in Valkey, expiring by itself.

It is read and added to in the gate's own call (a rider), so that history costs no round trip and a refused request
leaves no trace. What the numbers mean is `engine/history.py`, used for a replayed file as well: online and offline
can't drift apart. Adding an event twice is harmless: it counts once by its transaction's hash. A duplicate adds none.

No name gets there, nor a hash of one that could be guessed at: parties are handed to history under keyed hashes.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from apps import text
from apps.api_keys.gate import Names, Rider, with_rider
from apps.scoring.engine import habits, history, past_events, windows
from apps.scoring.engine.parties import Party, Role
from apps.scoring.engine.transaction import Parsed, TransactionSchema
from apps.scoring.serving import own_pasts
from apps.scoring.serving.ids import party_hash as hide
from apps.scoring.serving.own_pasts import Doing
from apps.usage.metering import journal
from apps.valkey import Argument, Script, Valkey

NUMBERS = {
    **{name: getattr(past_events, name) * past_events.EVENT_BYTES for name in ("LOOKED_AT", "KEPT", "TRIMMED_AT")},
    "EVENT_BYTES": past_events.EVENT_BYTES,
    "FLAGS_AT": past_events.FLAGS_AT,
}


def lua_of(name: str) -> str:
    """A script with the engine's numbers put in."""
    lua = (Path(__file__).parent / name).read_text()
    for word, number in NUMBERS.items():
        lua = lua.replace(word, str(number))
    return lua


ACTIVITY = with_rider(f"{lua_of('activity.lua')}\n{lua_of('lists.lua')}\n{own_pasts.OBSERVING}")
#: The same without a gate, of whose rows none is a duplicate.
ALONE = Script(f"{lua_of('alone.lua')}\n{lua_of('activity.lua')}\nreturn ridden")
REFUSAL = Script(f"local first_key, first_argument = 1, 1\n{lua_of('refusal.lua')}")
#: The same in the journal's call: what is blocked is marked with its acknowledgement.
BLOCKED = journal.with_rider(lua_of("refusal.lua"))
FORGET = Script(lua_of("forget.lua"))
#: The longest window is 7 days of the transactions' own time; a party nobody names for 8 days is forgotten, one whose
#: habits are asked for when nothing of it counts any more.
LIFE_SECONDS = 8 * 24 * 3600
HABITS_LIFE_SECONDS = habits.HABIT_MS // 1000

Activities = Mapping[str, windows.Activity]  # by role
#: A hash in Valkey, and the fields of it that are asked for.
Fields = tuple[str, Sequence[bytes]]


class Seen(NamedTuple):
    """One transaction as history sees it: its parties as they may be stored, by keyed hashes alone."""

    schema: TransactionSchema
    parsed: Parsed
    transaction_hash: int
    parties: tuple[Party, ...]


def seen(schema: TransactionSchema, parsed: Parsed, transaction_hash: int) -> Seen:
    """A transaction for history: who its parties are, whom they deal with and of what kind is hidden here."""
    parties = [party.renamed(hide) for party in schema.parties(parsed.transaction)]
    return Seen(schema, parsed, transaction_hash, tuple(parties))


class Past(NamedTuple):
    """A past that is read, and an event that is added to it for the row of that number (0: for none)."""

    key: str
    row: int
    life_seconds: int
    event: bytes


def rider(
    names: Names, rows: Sequence[Seen], *, add: bool, counted: Sequence[Past] = (), lists: Sequence[Fields] = (),
    own: Sequence[Doing] = (),
) -> Rider | None:  # fmt: skip
    """What the gate's call has to read and add, with what else is `counted`, what of `lists` to read, and what to read
    and add for own models; None when there is nothing of all that."""
    pasts = [*_pasts(names, rows, add=add), *counted]
    keys, arguments = _as_asked(rows, pasts, len(lists))
    for key, fields in lists:
        keys.append(key)
        arguments += (len(fields), *fields)
    known, told = own_pasts.asked_for(names, own, add=add)
    keys += known
    arguments += told
    return Rider(ACTIVITY, keys, arguments) if keys else None


def observe(valkey: Valkey, rows: Sequence[Seen], pasts: Sequence[Past]) -> list[bytes]:
    """Read and add without the gate, in a call of its own. Raises `apps.valkey.Away`."""
    keys, arguments = _as_asked(rows, pasts)
    return list(valkey.run(ALONE, keys, arguments)) if keys else []


def pasts_at(key: str, row: int, life: int, event: bytes, *, is_ahead: bool) -> list[Past]:
    """What is asked under a key: one past, and that of what is dated ahead where the transaction itself is."""
    if not is_ahead:
        return [Past(key, row, life, event)]
    return [Past(key, 0, life, event), Past(ahead_of(key), row, life, event)]


def past_in(answers: Iterator[bytes], *, is_ahead: bool) -> bytes:
    """What a transaction sees of a past, of the answers to `pasts_at`."""
    return past_events.together(next(answers), next(answers)) if is_ahead else next(answers)


def _pasts(names: Names, rows: Sequence[Seen], *, add: bool) -> Iterator[Past]:
    """The pasts of all parties of rows."""
    for number, row in enumerate(rows, start=1):
        ahead, adds = is_ahead(row), number if add else 0
        for party, event in zip(row.parties, events_of(row), strict=True):
            key = names.party(row.schema.name, party.role, party.name)
            yield from pasts_at(key, adds, life_seconds(row.schema.role_of[party.role]), event, is_ahead=ahead)


def _as_asked(rows: Sequence[Seen], pasts: Sequence[Past], lists: int = 0) -> tuple[list[str], list[Argument]]:
    """Keys and arguments of activity.lua, behind which so many lists stand."""
    arguments: list[Argument] = [rows[0].parsed.received_ms if rows else 0, len(pasts), lists]
    for past in pasts:
        arguments += past[1:]
    return [past.key for past in pasts], arguments


def refusal(names: Names, rows: Sequence[Seen]) -> Rider | None:
    """What the journal's call has to mark of transactions that were blocked, so that they make no habit of their
    parties; None when there is nothing. Harmless when repeated."""
    keys, arguments = _to_mark(names, [(row, 0) for row in rows])
    return Rider(BLOCKED, keys, arguments) if keys else None


def mark(valkey: Valkey, names: Names, rows: Sequence[tuple[Seen, int | None]]) -> None:
    """Mark transactions as such that make no habit, each from its moment on (`past_events.mark_of`: ms since 1970; 0 at
    once; None takes the mark away). Harmless when repeated. Raises `apps.valkey.Away`."""
    keys, arguments = _to_mark(names, rows)
    if keys:
        valkey.run(REFUSAL, keys, arguments)


def _to_mark(names: Names, rows: Sequence[tuple[Seen, int | None]]) -> tuple[list[str], list[Argument]]:
    """Keys and arguments of refusal.lua."""
    keys: list[str] = []
    arguments: list[Argument] = []
    for row, known_ms in rows:
        ahead = is_ahead(row)
        for party, event in zip(row.parties, events_of(row), strict=True):
            key = names.party(row.schema.name, party.role, party.name)
            keys.append(ahead_of(key) if ahead else key)
            arguments += past_events.mark_of(event, known_ms)
    return keys, arguments


def forget(valkey: Valkey, names: Names, rows: Sequence[Seen]) -> int:
    """Take transactions out of the pasts of all their parties; how many events that were. Harmless when repeated.

    Raises `apps.valkey.Away`.
    """
    keys: list[tuple[str, bytes]] = []
    for row in rows:
        for party, event in zip(row.parties, events_of(row), strict=True):
            transaction, _ = past_events.mark_of(event)
            key = names.party(row.schema.name, party.role, party.name)
            keys += ((key, transaction), (ahead_of(key), transaction))
    return forget_events(valkey, keys)


def forget_events(valkey: Valkey, events: Sequence[tuple[str, bytes]]) -> int:
    """Take events out of pasts, each by its key and its transaction. Raises `apps.valkey.Away`."""
    keys, transactions = [key for key, _ in events], [transaction for _, transaction in events]
    return int(valkey.run(FORGET, keys, transactions)) if keys else 0


def forget_parties(valkey: Valkey, names: Names, parties: Sequence[tuple[str, str, str]]) -> int:
    """Forget the whole past of somebody, by (schema, role, name); how many pasts that were. Raises `Away`."""
    keys = [names.party(schema, role, hide(text.recognised(name))) for schema, role, name in parties]
    both = [key for one in keys for key in (one, ahead_of(one))]
    return int(valkey.command("UNLINK", *both)) if both else 0


def events_of(row: Seen) -> list[bytes]:
    """The transaction as it is kept in the past of each of its parties."""
    transaction, at_ms = row.parsed.transaction, row.parsed.at_ms
    amount = row.schema.amount(transaction)
    return [past_events.event_of(party, at_ms, amount, row.transaction_hash) for party in row.parties]


def answers_to(rows: Sequence[Seen]) -> int:
    """How many answers tell of the parties of rows."""
    return sum(len(row.parties) * (2 if is_ahead(row) else 1) for row in rows)


def summarised(rows: Sequence[Seen], answers: Sequence[bytes]) -> list[Activities]:
    """The rider's answer as the recent activity of every row's parties."""
    remaining = iter(answers)
    return [_of_row(row, remaining) for row in rows]


def life_seconds(role: Role) -> int:
    """How long a party's past is kept after it was last named."""
    return HABITS_LIFE_SECONDS if role.habits else LIFE_SECONDS


def ahead_of(key: str) -> str:
    """Where of a past that is kept which is dated ahead."""
    return f"{key}:ahead"


def is_ahead(row: Seen) -> bool:
    """Whether a transaction is dated later than clocks differ."""
    return past_events.is_ahead(row.parsed.at_ms, row.parsed.received_ms)


def _of_row(row: Seen, answers: Iterator[bytes]) -> Activities:
    at_ms, ahead = row.parsed.at_ms, is_ahead(row)
    found = {}
    for party in row.parties:
        past = past_in(answers, is_ahead=ahead)
        found[party.role] = history.past_of(row.schema.role_of[party.role], party, past, at_ms, row.transaction_hash)
    return found
