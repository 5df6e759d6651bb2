"""Where recent activity is kept: a string of packed events a party, in Valkey, expiring by itself.

What the numbers mean is `engine/history.py`, used for a replayed file as well: online and offline can't drift apart.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from apps.api_keys.gate import Names
from apps.scoring.engine import history
from apps.scoring.engine.transaction import Parsed, TransactionSchema
from apps.valkey import Argument, Script, Valkey

ACTIVITY = Script((Path(__file__).parent / "activity.lua").read_text())
#: The longest window is 7 days of the transactions' own time; a party nobody names for 8 days is forgotten.
LIFE_SECONDS = 8 * 24 * 3600


class Seen(NamedTuple):
    """One transaction as history sees it."""

    schema: TransactionSchema
    parsed: Parsed
    transaction_hash: int


def read_and_add(valkey: Valkey, names: Names, rows: Sequence[Seen], *, add: bool) -> list[Mapping[str, history.Activity]]:
    """The recent activity of every row's parties, each row added after it was read. One round trip, none without parties."""
    keys: list[str] = []
    events: list[Argument] = []
    plan: list[tuple[int, str, int]] = []  # (row, role, time)
    for index, row in enumerate(rows):
        at_ms = row.schema.event_time_ms(row.parsed.transaction)
        amount = row.schema.amount(row.parsed.transaction)
        for party in row.schema.parties(row.parsed.transaction):
            keys.append(names.party(row.schema.name, party.role, name_hash(party.name)))
            events.append(history.pack(at_ms, amount, party.counterparty, row.transaction_hash))
            plan.append((index, party.role, at_ms))
    found: list[dict[str, history.Activity]] = [{} for _ in rows]
    if keys:
        answers = valkey.run(ACTIVITY, keys, [history.KEPT, LIFE_SECONDS, int(add), *events])
        for (index, role, at_ms), packed in zip(plan, answers, strict=True):
            found[index][role] = history.summarise(packed, at_ms, rows[index].transaction_hash)
    return list(found)


def name_hash(name: str) -> str:
    """A party's name as it stands in Valkey: 96 bits of its hash, never the name."""
    return blake2b(name.encode(), digest_size=12).hexdigest()
