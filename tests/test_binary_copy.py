"""Postgres reads from binary rows what was written into them, of every type."""

from datetime import UTC, datetime

import pytest
from django.db import DataError, connection, transaction

from apps.binary_copy import UTF8, WRITERS, copy_into, rows_of

#: Type → values as they are written, and as Postgres answers them.
ROWS = {
    "varchar": (["é", "", None], ["é", "", None]),
    "text": (["a\tb\\", "a\tb\\", "a\tb\\"], ["a\tb\\"] * 3),
    "text[]": ([["a", 'b"{},'], [], None], [["a", 'b"{},'], [], None]),
    "bytea": ([b"\x00\xff", b"", None], [b"\x00\xff", b"", None]),
    "jsonb": ([b'{"a": [1, "\\u00e9"]}', b"null", None], ['{"a": [1, "é"]}', "null", None]),
    "boolean": ([True, False, None], [True, False, None]),
    "smallint": ([-32768, 32767, None], [-32768, 32767, None]),
    "integer": ([-1, 2**31 - 1, None], [-1, 2**31 - 1, None]),
    "bigint": ([-1, 2**63 - 1, None], [-1, 2**63 - 1, None]),
    "double precision": ([0.1, float("inf"), None], [0.1, float("inf"), None]),
    "timestamp with time zone": (
        [1_767_607_200_123_456, 0, None],
        [datetime(2026, 1, 5, 10, 0, 0, 123456, UTC), datetime(1970, 1, 1, tzinfo=UTC), None],
    ),
}
pytestmark = pytest.mark.django_db


def read_back(types: list[str], columns: list[list]) -> list[tuple]:
    declared = ", ".join(f"c{n} {of_type.replace(UTF8, 'text')}" for n, of_type in enumerate(types))
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE copied ({declared})")
        copy_into(cursor, "copied", rows_of(types, columns))
        cursor.execute("SELECT * FROM copied")
        found = cursor.fetchall()
        cursor.execute("DROP TABLE copied")
        return found


def test_every_type_is_read_back_as_it_was_written() -> None:
    assert ROWS.keys() | {UTF8} == WRITERS.keys()
    found = zip(*read_back([*ROWS], [written for written, _ in ROWS.values()]), strict=True)
    assert [[_plain(value) for value in column] for column in found] == [answered for _, answered in ROWS.values()]


def _plain(value: object) -> object:
    return bytes(value) if isinstance(value, memoryview) else value


def test_repeated_and_encoded_texts_are_read_back() -> None:
    words = ["new", "superseding"] * 5
    assert read_back(["varchar(12)", UTF8], [words, [word.encode() for word in words]]) == [(w, w) for w in words]


@pytest.mark.parametrize("rows", [0, 1, 2, 50])
def test_columns_that_say_one_thing_few_and_many_are_read_back_side_by_side(rows: int) -> None:
    columns = {
        "varchar(8)": ["same"] * rows,
        "smallint": [None] * rows,
        "text": [f"é{number}" * (number % 3) for number in range(rows)],
        "integer": [number % 2 or None for number in range(rows)],
        "jsonb": [None if number % 3 else b"[1]" for number in range(rows)],
        "bytea": [bytes(4)] * rows,
        "text[]": [["a"] * (number % 3) for number in range(rows)],
        "bigint": list(range(rows)),
        "boolean": [True] * rows,
    }
    answered = {**columns, "jsonb": [one and one.decode() for one in columns["jsonb"]]}
    found = read_back(list(columns), list(columns.values()))
    assert [tuple(map(_plain, row)) for row in found] == list(zip(*answered.values(), strict=True))


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError):
        rows_of(["text", "boolean"], [["a", "b"], [True]])


def test_a_text_postgres_does_not_take_is_refused() -> None:
    with pytest.raises(DataError), transaction.atomic():
        read_back(["varchar(3)"], [["four"]])
