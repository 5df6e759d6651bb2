"""Roll-ups: sums that Postgres keeps by key. Adds rows to those there are; what they sum is others' matter.

One statement adds any number of rows, and those of several roll-ups go in one message. Rows are told by column, as an
array's text in bytes: psycopg's own lists ask of each value what it is, and the net that looks for card numbers in all
text on its way to Postgres (config/postgres) would find some in sums. Values in bytes go as one, and are cut there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Generic, NamedTuple, TypeVar

#: Rows of keys and sums, as columns.
Columns = Sequence[Sequence[Any]]
#: What a roll-up's rows hold, as it is reckoned with.
Value = TypeVar("Value")
#: SQL and its parameters.
Statement = tuple[str, Sequence[Any]]


class RollUp(NamedTuple):
    """A table of sums: what its rows are unique by → types, in the order in which rows are locked; its sums → types."""

    table: str
    keys: Mapping[str, str]
    sums: Mapping[str, str]

    def statement(self, schema: str) -> str:
        """Add rows, of arrays a column, to those there are, in the order they are told in."""
        columns, keys = {**self.keys, **self.sums}, ", ".join(self.keys)
        names, arrays = ", ".join(columns), ", ".join(map(_array_of, columns.values()))
        added = ", ".join(f"{name} = known.{name} + EXCLUDED.{name}" for name in self.sums)
        return (
            f"INSERT INTO {schema}.{self.table} AS known ({names})"
            f" SELECT {names} FROM unnest({arrays}) WITH ORDINALITY AS added ({names}, place) ORDER BY place"
            f" ON CONFLICT ({keys}) DO UPDATE SET {added}"
        )


#: Rows that are to be added to roll-ups; none of them is empty.
Added = Sequence[tuple[RollUp, Columns]]


def added(roll_up: RollUp, sums: Mapping[tuple[Any, ...], Sequence[Any]]) -> Added:
    """Sums by key as they are added to a roll-up, nothing of none: in the order of their keys, lest two writers wait
    for each other. Postgres would sort texts by a language's rules, and take as long as for a third of the adding."""
    rows = [(*key, *values) for key, values in sorted(sums.items())]
    return [(roll_up, list(zip(*rows, strict=True)))] if rows else []


def add(cursor: Any, schema: str, rows: Added) -> None:
    """Add rows to roll-ups in a schema (quoted), in the order given. Inside the caller's transaction."""
    send(cursor, statements(schema, rows))


def statements(schema: str, rows: Added) -> list[Statement]:
    """What adds rows to roll-ups in a schema (quoted), in the order given."""
    return [(roll_up.statement(schema), list(map(array, columns))) for roll_up, columns in rows]


def send(cursor: Any, statements: Sequence[Statement]) -> None:
    """Execute statements in one message; none of nothing. The results are one after the other (`nextset`)."""
    if statements:
        cursor.execute(";".join(sql for sql, _ in statements), [value for _, values in statements for value in values])


class BytesRollUp(NamedTuple, Generic[Value]):
    """A roll-up of one value in bytes: its table, the keys it is unique by → types, the value's column, sums beside it;
    how a value is written, and how it is added to what a row holds."""

    table: str
    keys: Mapping[str, str]
    value: str
    sums: Mapping[str, str]
    pack: Callable[[Value], bytes]
    merged: Callable[[bytes, Value], bytes]

    def insert(self, schema: str, rows: Mapping[tuple[Any, ...], tuple[Any, ...]]) -> Statement:
        """Insert (value, *sums) by key, in the order of the keys, lest two writers lock both; what is there tells what
        it holds, and has the sums. Whoever makes or finds a row holds it until the transaction ends."""
        columns = {**self.keys, **self.sums}
        arrays = ", ".join(map(_array_of, (*columns.values(), "int", "int")))
        keys, first = ", ".join(self.keys), next(iter(self.keys))
        added = ", ".join(f"{name} = known.{name} + EXCLUDED.{name}" for name in self.sums)
        sql = (
            f"INSERT INTO {schema}.{self.table} AS known ({', '.join(columns)}, {self.value})"
            f" SELECT {', '.join(columns)}, {_CUT} FROM unnest({arrays}) AS added ({', '.join(columns)}, start, length)"
            f" ORDER BY {keys} ON CONFLICT ({keys}) DO UPDATE SET {added or f'{first} = known.{first}'}"
            f" RETURNING id, {keys}, {self.value}, xmax = 0"
        )
        told = zip(*((*key, *sums) for key, (_, *sums) in rows.items()), strict=True)
        whole, *cuts = _whole([self.pack(value) for value, *_ in rows.values()])
        return sql, [whole, *map(array, told), *cuts]

    def update(
        self, schema: str, rows: Mapping[tuple[Any, ...], tuple[Any, ...]], told: Iterable[tuple[Any, ...]]
    ) -> list[Statement]:
        """Add the values to those that were there, as `insert` told of them; none of none."""
        found = [(row_id, tuple(key), bytes(held)) for row_id, *key, held, is_new in told if not is_new]
        if not found:
            return []
        sql = (
            f"UPDATE {schema}.{self.table} AS known SET {self.value} = {_CUT}"
            f" FROM unnest({', '.join(map(_array_of, ('bigint', 'int', 'int')))}) AS added (id, start, length)"
            " WHERE known.id = added.id"
        )
        whole, *cuts = _whole([self.merged(held, rows[key][0]) for _, key, held in found])
        return [(sql, [whole, array([row_id for row_id, *_ in found]), *cuts])]


#: A row's own part of bytes that were told as one.
_CUT = "substring(%s::bytea FROM start FOR length)"


def _whole(values: Sequence[bytes]) -> tuple[bytes, bytes, bytes]:
    """Values as one; as arrays where each begins, from 1, and how long it is."""
    lengths = list(map(len, values))
    starts = list(accumulate(lengths[:-1], initial=1))
    return b"".join(values), array(starts), array(lengths)


def _array_of(of_type: str) -> str:
    return f"convert_from(%s, 'UTF8')::{of_type}[]"


def array(values: Sequence[Any]) -> bytes:
    """Values of one type, at least one and none NULL, as Postgres reads an array. Texts are quoted."""
    if isinstance(values[0], int | float):
        return f"{{{','.join(map(str, values))}}}".encode()
    words = {value: _quoted(str(value)) for value in set(values)}  # keys: few are different
    return f"{{{','.join(map(words.__getitem__, values))}}}".encode()


def _quoted(text: str) -> str:
    """https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO"""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
