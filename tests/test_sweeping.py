"""The next test finds the database as the first one did, whatever this one has written."""

import pytest
from django.db import connection, transaction

from tests.cast import Cast, new_key
from tests.sweeping import Snapshot

pytestmark = pytest.mark.django_db(transaction=True)

TABLES = ("accounts_tenant", "accounts_auditentry", "accounts_auditchain", "api_keys_apikey")
TABLES += ("billing_subscription", "billing_planspan")


def rows(table: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT now::text FROM {table} AS now ORDER BY 1")
        return [row for (row,) in cursor.fetchall()]


def wrong(statement: str) -> None:
    """Whatever triggers and foreign keys say to it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement)


@pytest.mark.parametrize("table", TABLES)
def test_rows_that_are_gone_are_there_again(snapshot: Snapshot, table: str) -> None:
    before = rows(table)
    wrong(f"DELETE FROM {table}")
    assert rows(table) == [] != before
    snapshot.sweep()
    assert rows(table) == before


def test_rows_that_have_become_others_or_have_come_are_as_they_were(snapshot: Snapshot, cast: Cast) -> None:
    before = {table: rows(table) for table in TABLES}
    wrong("UPDATE billing_planspan SET plan_code = 'free-2026-11'")
    wrong("UPDATE billing_subscription SET plan_code = 'free-2026-11', status = 'limited'")
    new_key(cast.bob.tenant)
    assert {table for table in TABLES if rows(table) != before[table]} == set(TABLES) - {"accounts_tenant"}
    snapshot.sweep()
    assert {table: rows(table) for table in TABLES} == before
