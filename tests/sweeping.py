"""Leaving the database as a test found it, without transactions: what the test made is deleted, the cast restored.

It is done on a connection of its own whose triggers sleep for good: to change `session_replication_role` makes
PostgreSQL plan everything anew, which for some three hundred statements takes ten times as long as running them.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import connection
from django.db.models import Model
from psycopg import sql

from tests.cast import Cast
from tests.pace import within

#: Tables no test changes, with more rows than are worth naming.
_LEFT_ALONE = {"django_migrations", "django_content_type", "auth_permission", "accounts_schematemplate"}
_PRIMARY_KEYS = """
SELECT n.nspname, c.relname, a.attname FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
WHERE i.indisprimary AND c.relkind IN ('r', 'p') AND n.nspname = ANY(%s)
"""
_STRANGERS = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 't\\_%%' AND NOT nspname = ANY(%s)"
_SWEEP = "CREATE FUNCTION sweeping.sweep() RETURNS void LANGUAGE plpgsql AS {}"
#: Triggers sleep (which takes a superuser): the append-only tables would refuse, foreign keys ask for an order.
_SESSION = "-c session_replication_role=replica -c lock_timeout={:.0f}s"
#: Another text whenever a transaction that wrote anything has begun or ended.
_WRITERS = "SELECT pg_current_snapshot()::text"
#: A table's rows as they were: those that came since, those that have become others, those that are gone.
_RESTORE = """
DELETE FROM {table} AS now WHERE NOT EXISTS (SELECT FROM sweeping.{copy} AS before WHERE before.{key} = now.{key});
UPDATE {table} AS now SET ({columns}) = ROW({before}) FROM sweeping.{copy} AS before
WHERE now.{key} = before.{key} AND now.* IS DISTINCT FROM before.*;
INSERT INTO {table} ({columns}) SELECT {before} FROM sweeping.{copy} AS before
WHERE NOT EXISTS (SELECT FROM {table} AS now WHERE now.{key} = before.{key})
"""


class Sweeper:
    """The connection that sweeps; opened again where a test has ended its server."""

    def __init__(self) -> None:
        self._own: psycopg.Connection | None = None
        self._swept = ""

    def sweep(self, schemas: list[str]) -> None:
        """Lead back what was written since the last time; nothing when nothing was."""
        own = self._opened()
        if self._seen(own) == self._swept:
            return
        own.execute("SELECT sweeping.sweep()")
        for (schema,) in own.execute(_STRANGERS, [schemas]).fetchall():
            own.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
        self._swept = self._seen(own)

    def close(self) -> None:
        if self._own is not None:
            self._own.close()

    def _opened(self) -> psycopg.Connection:
        with suppress(psycopg.OperationalError):
            if self._own is not None and self._seen(self._own):
                return self._own
        self._own = psycopg.connect(**_login(), options=_SESSION.format(within(30)), autocommit=True)
        return self._own

    @staticmethod
    def _seen(own: psycopg.Connection) -> str:
        return str(own.execute(_WRITERS).fetchone())


def _login() -> dict[str, Any]:
    """The test database, as libpq has it."""
    parameters = connection.get_connection_params()
    return {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if name in parameters}


@dataclass(frozen=True)
class Snapshot:
    """How the database looked before the first test, and how the cast's own rows look in memory.

    What leads back is a function in the database: its hundreds of statements are planned once.
    """

    schemas: list[str]
    cast: tuple[tuple[Model, dict[str, Any]], ...]
    sweeper: Sweeper

    @classmethod
    def take(cls, cast: Cast) -> "Snapshot":
        schemas = ["public", *(player.tenant.schema_name for player in cast.players)]
        rows = tuple(_rows_of(cast))
        with connection.cursor() as cursor:
            cursor.execute("CREATE SCHEMA sweeping")
            tables = [row for row in _fetched(cursor, _PRIMARY_KEYS, [schemas]) if row[1] not in _LEFT_ALONE]
            body = sql.SQL("BEGIN {}; END").format(sql.SQL("; ").join(_restoration(cursor, *row) for row in tables))
            cursor.execute(sql.SQL(_SWEEP).format(sql.Literal(body.as_string(cursor.connection))))
        return cls(schemas, tuple((row, dict(row.__dict__)) for row in rows), Sweeper())

    def sweep(self) -> None:
        connection.set_schema_to_public()
        self.sweeper.sweep(self.schemas)
        for row, before in self.cast:
            row.__dict__.update(before)


def _restoration(cursor: Any, schema: str, table: str, key: str) -> sql.Composable:
    """What makes a table's rows those it has now; where it has some, a copy is kept for it."""
    name, copy = sql.Identifier(schema, table), sql.Identifier(f"{schema}.{table}")
    if not _fetched(cursor, sql.SQL("SELECT 1 FROM {} LIMIT 1").format(name)):
        return sql.SQL("DELETE FROM {}").format(name)
    cursor.execute(sql.SQL("CREATE TABLE sweeping.{} AS TABLE {}").format(copy, name))
    _fetched(cursor, sql.SQL("SELECT * FROM {} LIMIT 0").format(name))
    columns = [column.name for column in cursor.description]
    return sql.SQL(_RESTORE).format(
        table=name,
        copy=copy,
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        before=sql.SQL(", ").join(sql.Identifier("before", column) for column in columns),
        key=sql.Identifier(key),
    )


def _fetched(cursor: Any, query: Any, parameters: Any = None) -> list[tuple[Any, ...]]:
    cursor.execute(query, parameters)
    return list(cursor.fetchall())


def _rows_of(cast: Cast) -> Iterator[Model]:
    for player in cast.players:
        yield from (player.tenant, player.live, player.test, player.tenant.subscription)
        yield from player.tenant.plan_spans.all()
