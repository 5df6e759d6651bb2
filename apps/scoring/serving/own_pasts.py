"""The store of what tenants' own models know of their parties: a hash a party, in Valkey, expiring by itself.

Only tenants with own models have one, and only their requests pay for it: read and added to at once, in the gate's own
call (`own_asking.py`) or in one of its own. What the numbers mean is `engine/own_past.py`, used for training as well:
online and offline can't drift apart. Parties stand under keyed hashes, as in `activity`.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from apps.api_keys.gate import Names
from apps.scoring.engine import own_past
from apps.scoring.engine.own_features import parties_of
from apps.scoring.engine.own_past import NOT_NAMED, Past, bucket_of, counted, hundredths_of, known_second
from apps.scoring.engine.parties import party_name
from apps.scoring.engine.past_events import is_ahead
from apps.scoring.engine.transaction import Parsed, TransactionSchema
from apps.scoring.serving.ids import text_hash
from apps.valkey import Argument, Script, Valkey

NUMBERS = {
    "BUCKET_BYTES": own_past.BUCKET.size,
    "KNOWN_BYTES": own_past.KNOWN.size,
    "KEPT_BUCKETS": own_past.KEPT_BUCKETS,
    "KEPT_SECONDS": own_past.KEPT_SECONDS,
    "MOST_KNOWN": own_past.MOST_KNOWN * own_past.KNOWN.size,
}
#: A party nobody names, and of whom no label tells, is forgotten when nothing of it counts any more.
LIFE_SECONDS = own_past.KEPT_SECONDS
#: Parties that are refilled, read or added to in one call.
AT_ONCE = 500
KEY_DIGITS = 16


def _lua(name: str) -> str:
    lua = (Path(__file__).parent / name).read_text()
    for word, number in NUMBERS.items():
        lua = lua.replace(word, str(number))
    return lua


#: Behind the gate's other riders, and by itself.
OBSERVING = f"local told = asked\n{_lua('own_past.lua')}"
_ALONE = "local call, number, answer, rows, ridden, own, told = redis.call, struct.unpack, {}, 0, {}, 1, 1"
OBSERVE = Script(f"{_ALONE}\n{_lua('own_past.lua')}\nreturn ridden")
MARK, REFILL = Script(_lua("own_known.lua")), Script(_lua("own_refill.lua"))

#: A transaction's own hundredths; behind them decisions, hundredths and known frauds of each window, of its parties one
#: after the other.
Numbers = tuple[float, ...]


class Doing(NamedTuple):
    """One transaction as own models see it. `parties`: in the order of `parties_of`, hashed; "" where not named."""

    schema_name: str
    parties: tuple[str, ...]
    at_ms: int
    amount: float
    is_ahead: bool
    transaction_hash: int


def doing(schema: TransactionSchema, parsed: Parsed, transaction_hash: int) -> Doing:
    """A transaction for own models: who its parties are is hidden here."""
    told = parsed.transaction
    parties = tuple(hashed(getattr(told, field)) for field in parties_of(schema.name))
    ahead = is_ahead(parsed.at_ms, parsed.received_ms)
    return Doing(schema.name, parties, parsed.at_ms, float(schema.amount(told)), ahead, transaction_hash)


def hashed(name: object) -> str:
    """A party as it stands in keys, 64 bits in 16 digits; "" when it was not named."""
    return "" if name is None else key_of(text_hash(party_name(name)))


def key_of(text_hash_of_name: str) -> str:
    """The same of its name's hash, as it stands beside a stored decision whose name is masked."""
    return text_hash_of_name[:KEY_DIGITS]


def asked_for(names: Names, rows: Sequence[Doing], *, add: bool) -> tuple[list[str], list[Argument]]:
    """What has to be asked of rows, and added for them: keys, and the arguments of `own_past.lua`."""
    keys: list[str] = []
    arguments: list[Argument] = []
    for number, row in enumerate(rows, start=1):
        adds = int(add and not row.is_ahead)
        for key in _keys(names, row):
            keys.append(key)
            arguments += (adds, bucket_of(row.at_ms), hundredths_of(row.amount), LIFE_SECONDS, number if add else 0)
    return keys, arguments


def answers_to(rows: Sequence[Doing]) -> int:
    """How many answers tell of the parties of rows."""
    return sum(2 for row in rows for party in row.parties if party)


def numbers_of(rows: Sequence[Doing], answers: Sequence[bytes]) -> list[Numbers]:
    """The answers as numbers, of each row."""
    remaining = iter(answers)
    return [_numbers(row, remaining) for row in rows]


def observe(valkey: Valkey, names: Names, rows: Sequence[Doing], *, add: bool) -> list[Numbers]:
    """What is known of each row's parties, the rows before it included; each row is then added. Raises `Away`."""
    keys, arguments = asked_for(names, rows, add=add)
    return numbers_of(rows, valkey.run(OBSERVE, keys, arguments) if keys else ())


def add(valkey: Valkey, names: Names, schema_name: str, doings: Mapping[tuple[str, str, int], tuple[int, int]]) -> None:
    """Add many decisions at once: (field, hash, bucket) → how many, and the hundredths of them all. Raises `Away`."""
    rows = list(doings.items())
    for start in range(0, len(rows), AT_ONCE):
        some = rows[start : start + AT_ONCE]
        keys = [names.own_past(schema_name, field, party) for (field, party, _), _ in some]
        arguments: list[Argument] = []
        for (_, _, bucket), (decisions, hundredths) in some:
            arguments += (decisions, bucket, hundredths, LIFE_SECONDS, 0)
        valkey.run(OBSERVE, keys, arguments)


def pasts_of(valkey: Valkey, names: Names, schema_name: str, field: str, parties: Sequence[str]) -> list[Past]:
    """What is kept of parties, by their hashes. Raises `Away`."""
    found = []
    for start in range(0, len(parties), AT_ONCE):
        keys = [names.own_past(schema_name, field, party) for party in parties[start : start + AT_ONCE]]
        answers = valkey.pipeline([("HMGET", key, "buckets", "known") for key in keys])
        found += [Past(buckets or b"", known or b"") for buckets, known in answers]
    return found


def mark(valkey: Valkey, names: Names, rows: Sequence[tuple[Doing, int | None]]) -> None:
    """Keep from which moment (ms since 1970) transactions are known to be frauds; None: they are none after all.

    Harmless when repeated. Raises `Away`.
    """
    keys: list[str] = []
    arguments: list[Argument] = []
    for row, known_ms in rows:
        second: Argument = "" if known_ms is None else known_second(known_ms, row.at_ms)
        for key in _keys(names, row):
            keys.append(key)
            arguments += (row.transaction_hash.to_bytes(8, "little"), second, LIFE_SECONDS)
    if keys:
        valkey.run(MARK, keys, arguments)


def refill(valkey: Valkey, names: Names, schema_name: str, pasts: Mapping[tuple[str, str], Past]) -> None:
    """Bring what is kept of parties, by (field, hash), up to what Postgres tells. Raises `Away`."""
    parties = list(pasts.items())
    for start in range(0, len(parties), AT_ONCE):
        some = parties[start : start + AT_ONCE]
        keys = [names.own_past(schema_name, field, party) for (field, party), _ in some]
        arguments: list[Argument] = []
        for _, past in some:
            arguments += (past.buckets, past.known, LIFE_SECONDS)
        valkey.run(REFILL, keys, arguments)


def forget_parties(valkey: Valkey, names: Names, parties: Sequence[tuple[str, str, str]]) -> int:
    """Forget what is kept of somebody, by (schema, field, name); how many pasts that were. Raises `Away`."""
    keys = [names.own_past(schema, field, hashed(name)) for schema, field, name in parties]
    return int(valkey.command("UNLINK", *keys)) if keys else 0


def _keys(names: Names, row: Doing) -> Iterator[str]:
    for field, party in zip(parties_of(row.schema_name), row.parties, strict=True):
        if party:
            yield names.own_past(row.schema_name, field, party)


def _numbers(row: Doing, answers: Iterator[Any]) -> Numbers:
    found: list[float] = [float(hundredths_of(row.amount))]
    for party in row.parties:
        found += counted(Past(next(answers), next(answers)), row.at_ms) if party else NOT_NAMED
    return tuple(found)
