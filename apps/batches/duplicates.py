"""Rows of a chunk that were decided before, by the transaction id their sender gave: asked and told at the gate's
store, as single calls are, a thousand at a time.

The pointer of a transaction id says its newest facts and the decision on them. A chunk done again finds its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from apps.api_keys.gate import Names
from apps.usage.metering.journal import DUPLICATE_SECONDS
from apps.valkey import Argument, Script, Valkey

_HERE = Path(__file__).parent
POINT = Script((_HERE / "point.lua").read_text())
RETRACT = Script((_HERE / "retract.lua").read_text())
#: Rows of one call: more would keep single calls waiting.
AT_ONCE = 1_000
BODY_HASH = 32  # characters


class Named(NamedTuple):
    """A row whose sender named its transaction: its place, its decision to be, and what it is known by."""

    row: int
    decision_id: str
    transaction_hash: str
    body_hash: str
    name: str


class Known(NamedTuple):
    """What the store knows of rows: the decision on the same facts, or the one on other facts for the same id."""

    duplicates: Mapping[int, str]
    supersedes: Mapping[int, str]


def look_up(valkey: Valkey, names: Names, schema: str, rows: Sequence[Named]) -> Known:
    """What is known of rows now. Of rows with the same id within the chunk the later ones follow the earlier.

    Raises `apps.valkey.Away`.
    """
    duplicates: dict[int, str] = {}
    supersedes: dict[int, str] = {}
    within: dict[str, str] = {}
    for some in _sliced(rows):
        answers = valkey.command("MGET", *(names.transaction(schema, row.transaction_hash) for row in some))
        for row, answer in zip(some, answers, strict=True):
            known = within.get(row.transaction_hash) or (answer.decode() if answer else "")
            body, decision_id = known[:BODY_HASH], known[BODY_HASH:]
            if known and decision_id != row.decision_id:
                (duplicates if body == row.body_hash else supersedes)[row.row] = decision_id
            if row.row not in duplicates:
                within[row.transaction_hash] = row.body_hash + row.decision_id
    return Known(duplicates, supersedes)


def point(valkey: Valkey, names: Names, schema: str, rows: Sequence[Named]) -> dict[int, str]:
    """Tell the store of decisions about to be recorded; those whose facts somebody decided on meanwhile, with theirs.

    Nearly all are the first of their id: a plain command each, a third of what a script pays for it. What is known
    already is for the script to tell apart. Raises `apps.valkey.Away`.
    """
    quicker: dict[int, str] = {}
    for some in _sliced(rows):
        keys = [names.transaction(schema, row.transaction_hash) for row in some]
        first = ("NX", "GET", "EX", f"{DUPLICATE_SECONDS}")  # a text is packed in two thirds of a number's time
        pairs = zip(keys, some, strict=True)
        known = valkey.pipeline([("SET", key, row.body_hash + row.decision_id, *first) for key, row in pairs])
        found = [(key, row) for key, row, answer in zip(keys, some, known, strict=True) if answer is not None]
        quicker |= _told_apart(valkey, found) if found else {}
    return quicker


def _told_apart(valkey: Valkey, found: Sequence[tuple[str, Named]]) -> dict[int, str]:
    """Point ids that are known at newer facts; of the same facts, the decisions that were quicker."""
    arguments: list[Argument] = [DUPLICATE_SECONDS]
    for _, row in found:
        arguments += [row.body_hash, row.decision_id]
    answers = valkey.run(POINT, [key for key, _ in found], arguments)
    return {row.row: answer.decode() for (_, row), answer in zip(found, answers, strict=True) if answer}


def retract(valkey: Valkey, names: Names, schema: str, rows: Sequence[Named]) -> int:
    """Forget what the store was told of decisions that never came to be; how many pointers that were. Harmless when
    repeated. Raises `apps.valkey.Away`."""
    return sum(
        valkey.run(
            RETRACT,
            [names.transaction(schema, row.transaction_hash) for row in some],
            [row.body_hash + row.decision_id for row in some],
        )
        for some in _sliced(rows)
    )


def _sliced(rows: Sequence[Named]) -> Iterator[list[Named]]:
    waiting = iter(rows)
    while some := list(islice(waiting, AT_ONCE)):
        yield some
