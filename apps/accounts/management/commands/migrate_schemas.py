"""django-tenants' `migrate_schemas`, which also migrates the template schema, refreshes its dump, and is quick."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connection
from django_tenants.management.commands.migrate_schemas import MigrateSchemasCommand

from apps.accounts import migrating, template
from apps.accounts.tenancy import tenant_connection

#: How long a statement waits for a table that is in use; then it fails, and the command is repeated.
LOCK_TIMEOUT = "5s"
#: With one of these Django does it, schema by schema: somebody wants something particular.
PARTICULAR = ("app_label", "migration_name", "fake", "fake_initial", "plan", "prune", "run_syncdb", "check_unapplied")


class Command(MigrateSchemasCommand):
    """`migrate_schemas [--shared|--tenant] [--schema …]`, then the template.

    It runs beside what it migrates: whoever waits for a table's lock lets nobody past, so it does not wait for long.
    """

    def handle(self, *args: Any, **options: Any) -> None:
        with _short_waits():
            if options.get("schema_name") or any(options.get(name) for name in PARTICULAR):
                super().handle(*args, **options)
                self._migrate(settings.TEMPLATE_SCHEMA, *args, **options)
                tenant_connection().set_schema_to_public()
                template.refresh()
            else:
                self._all(*args, **options)

    def _all(self, *args: Any, **options: Any) -> None:
        if options.get("shared") or not options.get("tenant"):
            super().handle(*args, **{**options, "shared": True, "tenant": False})
        if options.get("tenant") or not options.get("shared"):
            self._tenants(*args, **options)

    def _tenants(self, *args: Any, **options: Any) -> None:
        before, change = self._template_stands()
        if change is None:
            self._migrate(settings.TEMPLATE_SCHEMA, *args, **options)
        elif change.migrations:
            migrating.make(settings.TEMPLATE_SCHEMA, change)
        tenant_connection().set_schema_to_public()
        found = dict(migrating.states(migrating.tenants()))
        alike, others = migrating.apart(found, before, migrating.state_of(settings.TEMPLATE_SCHEMA))
        if change is None:
            alike, others = [], alike + others
        with template.refreshing():
            for number, schema in enumerate(alike, 1):
                migrating.make(schema, change)  # type: ignore[arg-type]  # there are none alike where it is None
                if options.get("verbosity", 1) and number % 100 == 0:
                    self.stdout.write(f"{number} of {len(alike)} schemas")
            for schema in others:
                self._migrate(schema, *args, **options)
            tenant_connection().set_schema_to_public()

    def _template_stands(self) -> tuple[str, migrating.Change | None]:
        """Where the template stands, and what leads on from there."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f"{settings.TEMPLATE_SCHEMA}.django_migrations"])
            if not cursor.fetchone()[0]:
                return "", None
        return migrating.state_of(settings.TEMPLATE_SCHEMA), migrating.change_of(settings.TEMPLATE_SCHEMA)

    def _migrate(self, schema: str, *args: Any, **options: Any) -> None:
        """Let Django migrate one schema."""
        if schema == settings.TEMPLATE_SCHEMA:
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        super().handle(*args, **{**options, "schema_name": schema, "shared": False, "tenant": True})


@contextmanager
def _short_waits() -> Iterator[None]:
    """Whatever connects inside waits for no lock longer than `LOCK_TIMEOUT`."""
    before = os.environ.get("PGOPTIONS")
    os.environ["PGOPTIONS"] = f"{before or ''} -c lock_timeout={LOCK_TIMEOUT}".strip()
    connection.close()
    try:
        yield
    finally:
        if before is None:
            del os.environ["PGOPTIONS"]
        else:
            os.environ["PGOPTIONS"] = before
        connection.close()
