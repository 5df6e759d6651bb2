"""Migrating all tenants' schemas: what is to be done is told in SQL once, and done in each of them.

Django takes 60 ms a schema with nothing to do, for it builds all models' history each time. Schemas are
copies of the template, names included: what migrating that one would execute, is executed in every schema that stands
where it stood. What can't be told in SQL, and what stands elsewhere, is migrated by Django, one by one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from apps.accounts.models import Tenant
from apps.accounts.naming import check_schema
from apps.accounts.tenancy import in_tenant

#: What Django writes in place of an operation that is code.
_NOT_SQL = "THIS OPERATION CANNOT BE WRITTEN AS SQL"
#: Schemas asked for in one statement.
_TOGETHER = 200


class Change(NamedTuple):
    """What leads from one state to the next: statements, and the migrations that are then noted."""

    statements: tuple[str, ...]
    migrations: tuple[tuple[str, str], ...]


def change_of(schema: str) -> Change | None:
    """What migrating a schema would do; None where SQL can't tell it. Raises `InconsistentMigrationHistory`."""
    with in_tenant(schema):
        executor = MigrationExecutor(connection)
        executor.loader.check_consistent_history(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        rooms = {room.rpartition(".")[2] for room in settings.TENANT_APPS}
        ours = [(migration, backwards) for migration, backwards in plan if migration.app_label in rooms]
        if not all(migration.atomic for migration, _ in ours):
            return None
        statements = executor.loader.collect_sql(ours)
    if any(_NOT_SQL in one for one in statements):
        return None
    return Change(tuple(statements), tuple((migration.app_label, migration.name) for migration, _ in plan))


def make(schema: str, change: Change) -> None:
    """Do it in a schema: all of it, or nothing. One round trip, which Postgres takes as one transaction."""
    with connection.cursor() as cursor:
        cursor.execute(text_of(schema, change))


def text_of(schema: str, change: Change) -> str:
    """The SQL that does it in a schema; the path stays the schema's until the transaction ends."""
    check_schema(schema)
    return f"SELECT set_config('search_path', '\"{schema}\", public', true);\n{_told(change)}"


@lru_cache(maxsize=1)
def _told(change: Change) -> str:
    """What is alike in every schema; each migration is noted on a line of its own, as the template's text is read."""
    told = "\n".join(one for one in change.statements if not one.startswith("--"))
    if not change.migrations:
        return told
    rows = ",\n".join(f"('{app}', '{name}', now())" for app, name in change.migrations)
    return f"{told}\nINSERT INTO django_migrations (app, name, applied) VALUES\n{rows};"


def state_of(schema: str) -> str:
    """A digest of the migrations a schema has; "" where it has none."""
    return dict(states([schema])).get(schema, "")


def states(schemas: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(schema, digest) of each."""
    names = list(schemas)
    for begin in range(0, len(names), _TOGETHER):
        asked = " UNION ALL ".join(_asked(name) for name in names[begin : begin + _TOGETHER])
        with connection.cursor() as cursor:
            cursor.execute(asked)
            yield from cursor.fetchall()


def _asked(schema: str) -> str:
    check_schema(schema)
    digest = "md5(string_agg(app || '.' || name, ' ' ORDER BY app, name))"
    return f"SELECT '{schema}', {digest} FROM \"{schema}\".django_migrations"


def tenants() -> Sequence[str]:
    """Their schemas, the newest last."""
    return list(Tenant.objects.order_by("pk").values_list("schema_name", flat=True))


def apart(found: Mapping[str, str], before: str, after: str) -> tuple[list[str], list[str]]:
    """(schemas that stand where the template stood, those that stand elsewhere), of those that are not done. Pure."""
    behind = {schema: state for schema, state in found.items() if state != after}
    return [one for one in behind if behind[one] == before], [one for one in behind if behind[one] != before]
