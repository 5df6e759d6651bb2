"""Rows as PostgreSQL's `COPY … FROM STDIN (FORMAT BINARY)` reads them, made column by column.

A tenth of the time of the driver's own writer, which asks of each value what it is; and the server parses no text. The
format: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS. A value is its length as four bytes
and its bytes, NULL the length -1; numbers are big-endian, times µs since 2000-01-01.

A column becomes parts: bytes that are the same in every row, or the bytes of each row. Neighbours of the first kind are
one part, so that a row costs as little as what is its own.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice, repeat
from struct import Struct
from typing import Any, TypeVar

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
#: µs between 1970 and 2000.
SINCE_2000_US = 946_684_800_000_000
TEXT_OID = 25

Each = TypeVar("Each")
Part = bytes | Iterable[bytes]
#: Writes values of one type, none of them NULL, as parts.
Writer = Callable[[Sequence[Any]], Sequence[Part]]

_length = Struct("!i").pack
_fields = Struct("!h").pack


def _numbers(code: str) -> Writer:
    """Of a type that is as long as `struct` says of `code`."""
    one = Struct(f"!{code}")
    return lambda values: [_length(one.size), map(one.pack, values)]


def _moments(values: Sequence[int]) -> Sequence[Part]:
    return _numbers("q")([microseconds - SINCE_2000_US for microseconds in values])


def _bytes(values: Sequence[bytes], begin: bytes = b"") -> Sequence[Part]:
    """Bytes behind their length, each beginning alike. Of equal ones the length is the same in every row."""
    lengths = {length: _length(len(begin) + length) + begin for length in set(map(len, values))}
    if len(lengths) == 1:
        return [*lengths.values(), values]
    return [map(lengths.__getitem__, map(len, values)), values]


def _texts(values: Sequence[str]) -> Sequence[Part]:
    return _bytes(list(map(str.encode, values)))


def _arrays(values: Sequence[Sequence[str]]) -> Sequence[Part]:
    """Of `text[]`: one dimension that begins at 1, without NULLs."""
    flat = list(chain.from_iterable(values))
    pieces = _joined(_texts(flat), len(flat))  # of each text its length and itself
    heads = {count: array_head(count) for count in set(map(len, values))}
    return _bytes([b"".join((heads[len(one)], *islice(pieces, 2 * len(one)))) for one in values])


def array_head(count: int) -> bytes:
    """What an array of `text[]` with so many texts begins with."""
    return Struct("!iiiii").pack(1, 0, TEXT_OID, count, 1) if count else Struct("!iii").pack(0, 0, TEXT_OID)


#: A text's type when its values are UTF-8 already.
UTF8 = "utf8"
#: A column's type, as Django names it, → how its values are written. Times are µs since 1970, JSON is UTF-8; that of
#: `jsonb` begins with a byte that says the version.
WRITERS: Mapping[str, Writer] = {
    "varchar": _texts,
    "text": _texts,
    UTF8: _bytes,
    "text[]": _arrays,
    "bytea": _bytes,
    "jsonb": partial(_bytes, begin=b"\x01"),
    "boolean": _numbers("?"),
    "smallint": _numbers("h"),
    "integer": _numbers("i"),
    "bigint": _numbers("q"),
    "double precision": _numbers("d"),
    "timestamp with time zone": _moments,
}
#: Types whose columns mostly say one of a few values, which are written once each.
REPEATED = frozenset(("varchar", "text", "text[]", "boolean", "smallint", "integer", "bigint"))


def rows_of(types: Sequence[str], columns: Sequence[Sequence[Any]]) -> bytes:
    """The whole of what COPY reads: `columns[n]` holds the values of a column of `types[n]`, None for NULL.

    Raises `KeyError` for a type it does not know, `struct.error` for a number the type does not hold, `ValueError` for
    columns of different lengths.
    """
    (rows,) = {len(values) for values in columns}
    parts = chain.from_iterable(map(_column, types, columns)) if rows else ()
    return b"".join([HEADER, *_joined(merged([_fields(len(types)), *parts]), rows), TRAILER])


def copy_into(cursor: Any, table: str, rows: bytes) -> None:
    """COPY `rows` into a table on Django's cursor. Raises Django's `DatabaseError`, which its own COPY does not."""
    with cursor.db.wrap_database_errors, cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(rows)


def _column(of_type: str, values: Sequence[Any]) -> Sequence[Part]:
    kind = of_type.split("(")[0]
    write = WRITERS[kind]
    if kind in REPEATED:
        values = _hashable(values) if kind == "text[]" else values
        different = set(values)
        if len(different) == 1 or 2 * len(different) <= len(values):
            return _repeated(write, different, values)
    return [_with_nulls(write, values)] if None in values else write(values)


def _hashable(arrays: Sequence[Any]) -> Sequence[Any]:
    return [None if one is None else tuple(one) for one in arrays]


def _repeated(write: Writer, different: set[Any], values: Sequence[Any]) -> Sequence[Part]:
    told = list(different - {None})
    written = {None: NULL, **dict(zip(told, _whole(write, told), strict=True))}
    return [written[values[0]]] if len(different) == 1 else [map(written.__getitem__, values)]


def _with_nulls(write: Writer, values: Sequence[Any]) -> Part:
    told = [value for value in values if value is not None]
    written = iter(_whole(write, told))
    return [NULL if value is None else next(written) for value in values] if told else NULL


def _whole(write: Writer, values: Sequence[Any]) -> list[bytes]:
    """Each value as it is written."""
    return list(map(b"".join, _rows(write(values), len(values)))) if values else []


def _joined(parts: Sequence[Part], rows: int) -> Iterator[bytes]:
    return chain.from_iterable(_rows(parts, rows))


def _rows(parts: Sequence[Part], rows: int) -> Iterator[tuple[bytes, ...]]:
    """The parts of each row."""
    return zip(*(repeat(part, rows) if isinstance(part, bytes) else part for part in parts), strict=True)


def merged(parts: Iterable[bytes | Each]) -> list[bytes | Each]:
    """Parts of which no two neighbours are the same in every row."""
    found: list[bytes | Each] = []
    for part in parts:
        if found and isinstance(part, bytes) and isinstance(before := found[-1], bytes):
            found[-1] = before + part
        else:
            found.append(part)
    return found
