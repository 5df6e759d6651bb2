"""Leaving the database as a test found it, without transactions: what the test made is deleted, the cast restored."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Model
from psycopg import sql

from tests.cast import Cast

#: Tables no test changes, with more rows than are worth naming.
_LEFT_ALONE = {"django_migrations", "django_content_type", "auth_permission", "accounts_schematemplate"}
_PRIMARY_KEYS = """
SELECT n.nspname, c.relname, a.attname FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
WHERE i.indisprimary AND c.relkind IN ('r', 'p') AND n.nspname = ANY(%s)
"""
_STRANGERS = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 't\\_%%' AND NOT nspname = ANY(%s)"


@dataclass(frozen=True)
class Snapshot:
    """How the database looked before the first test: one statement that leads back to it, and the cast's own rows.

    Triggers sleep meanwhile (which takes a superuser): the append-only tables would refuse, foreign keys ask for an
    order.
    """

    schemas: list[str]
    statement: str
    cast: tuple[Model, ...]

    @classmethod
    def take(cls, cast: Cast) -> "Snapshot":
        schemas = ["public", *(player.tenant.schema_name for player in cast.players)]
        with connection.cursor() as cursor:
            cursor.execute(_PRIMARY_KEYS, [schemas])
            deletions = [_deletion(cursor, *row) for row in cursor.fetchall() if row[1] not in _LEFT_ALONE]
        asleep, awake = ("SET session_replication_role = replica", "SET session_replication_role = origin")
        return cls(schemas, "; ".join([asleep, *deletions, awake]), tuple(_rows_of(cast)))

    def sweep(self) -> None:
        connection.set_schema_to_public()
        with connection.cursor() as cursor:
            cursor.execute(self.statement)
            cursor.execute(_STRANGERS, [self.schemas])
            for (schema,) in cursor.fetchall():
                cursor.execute(f"DROP SCHEMA {connection.ops.quote_name(schema)} CASCADE")
        for row in self.cast:
            row.save(force_update=True)


def _deletion(cursor: Any, schema: str, table: str, key: str) -> str:
    """Everything but the rows there are now."""
    name, column = sql.Identifier(schema, table), sql.Identifier(key)
    cursor.execute(sql.SQL("SELECT {} FROM {}").format(column, name))
    kept = [sql.Literal(value) for (value,) in cursor.fetchall()]
    where = sql.SQL(" WHERE {} NOT IN ({})").format(column, sql.SQL(", ").join(kept)) if kept else sql.SQL("")
    return (sql.SQL("DELETE FROM {}").format(name) + where).as_string(cursor.connection)


def _rows_of(cast: Cast) -> Iterator[Model]:
    for player in cast.players:
        yield from (player.tenant, player.live, player.test, player.tenant.subscription)
        yield from player.tenant.plan_spans.all()
