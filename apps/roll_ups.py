"""Roll-ups: sums that Postgres keeps by key. Adds rows to those there are; what they sum is others' matter.

One statement adds any number of rows, and those of several roll-ups go in one message. Rows are told by column, as an
array's text in bytes: psycopg's own lists ask of each value what it is, and the net that looks for card numbers in all
text on its way to Postgres (config/postgres) would find some in sums.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

#: Rows of keys and sums, as columns.
Columns = Sequence[Sequence[Any]]


class RollUp(NamedTuple):
    """A table of sums: what its rows are unique by → types, in the order in which rows are locked; its sums → types."""

    table: str
    keys: Mapping[str, str]
    sums: Mapping[str, str]

    def statement(self, schema: str) -> str:
        """Add rows, of arrays a column, to those there are: in the order of their keys, lest two writers lock both."""
        columns, keys = {**self.keys, **self.sums}, ", ".join(self.keys)
        arrays = ", ".join(f"convert_from(%s, 'UTF8')::{of_type}[]" for of_type in columns.values())
        added = ", ".join(f"{name} = known.{name} + EXCLUDED.{name}" for name in self.sums)
        return (
            f"INSERT INTO {schema}.{self.table} AS known ({', '.join(columns)}) SELECT * FROM unnest({arrays})"
            f" ORDER BY {', '.join(map(str, range(1, len(self.keys) + 1)))}"
            f" ON CONFLICT ({keys}) DO UPDATE SET {added}"
        )


#: Rows that are to be added to roll-ups; none of them is empty.
Added = Sequence[tuple[RollUp, Columns]]


def added(roll_up: RollUp, sums: Mapping[tuple[Any, ...], Sequence[Any]]) -> Added:
    """Sums by key as they are added to a roll-up, nothing of none."""
    rows = [(*key, *values) for key, values in sums.items()]
    return [(roll_up, list(zip(*rows, strict=True)))] if rows else []


def add(cursor: Any, schema: str, rows: Added) -> None:
    """Add rows to roll-ups in a schema (quoted), in the order given. Inside the caller's transaction."""
    if rows:
        statements = ";".join(roll_up.statement(schema) for roll_up, _ in rows)
        cursor.execute(statements, [array(values) for _, columns in rows for values in columns])


def array(values: Sequence[Any]) -> bytes:
    """Values of one type, at least one and none NULL, as Postgres reads an array. Texts are quoted."""
    words: Iterable[str] = map(_quoted, values) if isinstance(values[0], str) else map(str, values)
    return f"{{{','.join(words)}}}".encode()


def _quoted(text: str) -> str:
    """https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO"""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
