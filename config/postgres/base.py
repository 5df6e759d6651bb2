"""The connection to Postgres: whatever text is handed to it as a parameter, card numbers in it are masked.

The doors mask what they are told, and say so to the sender. This is the net below all of them: the operators' forms,
commands, provider's events, what is written next year. What is looked for is masked alike, so that it is found.
"""

from typing import Any

from django.db.backends.postgresql.introspection import TableInfo
from django_tenants.postgresql_backend.base import DatabaseWrapper as TenantsWrapper
from django_tenants.postgresql_backend.base import quote_schema_name
from django_tenants.postgresql_backend.introspection import DatabaseSchemaIntrospection
from psycopg.types.json import Jsonb, JsonbDumper
from psycopg.types.string import StrDumperUnknown

from apps import card_numbers
from config.postgres.pooled import PooledCursor

#: Tables and views of a schema, which of the two, and the comment; partitions are "p". By what depends on the schema:
#: `pg_class` has no index by schema, and 200 rows a tenant.
_TABLES = """
SELECT relname, CASE WHEN relispartition THEN 'p' WHEN relkind IN ('m', 'v') THEN 'v' ELSE 't' END,
    obj_description(c.oid, 'pg_class')
FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid
WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.classid = 'pg_catalog.pg_class'::regclass
    AND d.refobjid = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %s)
    AND relkind IN ('f', 'm', 'p', 'r', 'v')
"""


class MaskedText(StrDumperUnknown):
    """A text on its way to Postgres. The pure dumpers are built upon: the compiled ones would not come by here."""

    def dump(self, obj: str) -> Any:
        return super().dump(card_numbers.mask(obj))


class MaskedJson(JsonbDumper):
    """A JSON value on its way to Postgres."""

    def dump(self, obj: Any) -> Any:
        return super().dump(Jsonb(card_numbers.mask_json(obj.obj), obj.dumps))


class Introspection(DatabaseSchemaIntrospection):
    """What tables there are in the schema. Django asks of every table of every tenant whether it is the one that is
    seen: with 1,000 of them half a second each time, and a migration asks four times."""

    def get_table_list(self, cursor: Any) -> list[TableInfo]:
        cursor.execute(_TABLES, [self.connection.schema_name])
        return [TableInfo(*row) for row in cursor.fetchall() if row[0] not in self.ignored_tables]


class DatabaseWrapper(TenantsWrapper):
    """django-tenants' connection with that net; with `POOLED` in its settings, through a pooler (`pooled.py`)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.introspection = Introspection(self)

    @property
    def pooled(self) -> bool:
        return bool(self.settings_dict.get("POOLED"))

    def get_connection_params(self) -> dict[str, Any]:
        more = {"cursor_factory": PooledCursor} if self.pooled else {}
        return super().get_connection_params() | more

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        connection.adapters.register_dumper(str, MaskedText)
        connection.adapters.register_dumper(Jsonb, MaskedJson)
        connection.path = self.path
        return connection

    def path(self) -> str:
        """SQL that says, until the transaction ends, whose tables are meant."""
        return f"SET LOCAL search_path = {', '.join(map(quote_schema_name, self._get_cursor_search_paths()))}"

    def _handle_search_path(self, cursor: Any = None) -> None:
        if not self.pooled:
            super()._handle_search_path(cursor)

    def chunked_cursor(self) -> Any:
        """A cursor that is read in pieces lives in a transaction; without one, a pooler's client reads all at once."""
        if not self.pooled:
            return super().chunked_cursor()
        if not self.in_atomic_block:
            return self.cursor()
        with self.cursor() as cursor:
            cursor.execute("SELECT 1")  # brings the path, which a named cursor can't
        return super().chunked_cursor()
