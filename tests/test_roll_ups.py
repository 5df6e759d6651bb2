"""Rows are added to the sums there are, whatever their keys are written with."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.db import connection

from apps.roll_ups import BytesRollUp, RollUp, add, added, send

HITS = RollUp(
    "hits", {"live": "boolean", "hour": "timestamptz", "word": "varchar"}, {"hits": "bigint", "amount": "float8"}
)
NOTES = BytesRollUp(
    "notes",
    {"live": "boolean", "word": "varchar"},
    "note",
    {"times": "bigint"},
    str.encode,
    lambda held, more: held + more.encode(),
)
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
#: Characters that mean something in an array's text, in JSON or to nobody; a number that could be a card's.
WORDS = ('a"b', "back\\slash", "{curly}, NULL", "NULL", "", " ", "é\n\t", "4111 1111 1111 1111", "%s", "$1")
pytestmark = pytest.mark.django_db


@pytest.fixture
def schema() -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE hits (live boolean, hour timestamptz, word varchar, hits bigint, amount float8)"
        )
        cursor.execute("CREATE UNIQUE INDEX ON hits (live, word, hour)")
        yield "pg_temp"
        cursor.execute("DROP TABLE hits")


def test_sums_are_added_key_by_key(schema: str) -> None:
    sums = {(live, NOON, word): (1, 0.1) for live in (True, False) for word in WORDS}
    more = {(True, NOON, WORDS[0]): (4_111_111_111_111_111, 1e300), (True, NOON, "new"): (1, -0.5)}
    with connection.cursor() as cursor:
        add(cursor, schema, [*added(HITS, sums), *added(HITS, {}), *added(HITS, more)])
        add(cursor, schema, [])
        cursor.execute("SELECT * FROM hits")
        found = {tuple(row[:3]): tuple(row[3:]) for row in cursor.fetchall()}
    assert found == sums | more | {(True, NOON, WORDS[0]): (4_111_111_111_111_112, 1e300)}


def test_values_in_bytes_are_kept_or_made_one_with_those_there(schema: str) -> None:
    first = {(True, WORDS[0]): ("a" * 5_000, 1), (False, ""): ("", 2)}
    then = {(False, ""): ("", 3), (True, "new"): ("b", 1), (True, WORDS[0]): ("\0c", 5)}
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY, live boolean, word varchar, note bytea,"
            " times bigint, UNIQUE (live, word))"
        )
        for rows in (first, then):
            send(cursor, [NOTES.insert(schema, rows)])
            send(cursor, NOTES.update(schema, rows, cursor.fetchall()))
        cursor.execute("SELECT live, word, note, times FROM notes")
        found = {(live, word): (bytes(note), times) for live, word, note, times in cursor.fetchall()}
        cursor.execute("DROP TABLE notes")
    assert found == {(True, WORDS[0]): (b"a" * 5_000 + b"\0c", 6), (False, ""): (b"", 5), (True, "new"): (b"b", 1)}
