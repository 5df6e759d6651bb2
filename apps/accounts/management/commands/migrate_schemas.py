"""django-tenants' `migrate_schemas`, which also migrates the template schema, refreshes its dump, and is quick."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection
from django_tenants.management.commands.migrate_schemas import MigrateSchemasCommand

from apps.accounts import migrating, template
from apps.accounts.tenancy import tenant_connection

#: How long a statement waits for a table that is in use; then it fails, and the command is repeated.
LOCK_TIMEOUT = "5s"
#: Schemas that fail one after the other before it is no single tenant's trouble: the disk is full, a table is locked.
MOST_IN_A_ROW = 10
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
        self._template(change, *args, **options)
        found = dict(migrating.states(migrating.tenants()))
        alike, others = migrating.apart(found, before, migrating.state_of(settings.TEMPLATE_SCHEMA))
        trouble = _Trouble()
        with template.refreshing():
            for number, schema in enumerate([*alike, *others], 1):
                with trouble.of(schema):
                    if change is not None and number <= len(alike):
                        migrating.make(schema, change)
                    else:
                        self._migrate(schema, *args, **options)
                if options.get("verbosity", 1) and number % 100 == 0:
                    self.stdout.write(f"{number} of {len(alike) + len(others)} schemas")
            tenant_connection().set_schema_to_public()
        trouble.tell()

    def _template(self, change: migrating.Change | None, *args: Any, **options: Any) -> None:
        """Migrate the template; where SQL tells how, the text new tenants are made of gets the same."""
        if change is None:
            self._migrate(settings.TEMPLATE_SCHEMA, *args, **options)
        elif change.migrations:
            was_current = template.is_current()
            migrating.make(settings.TEMPLATE_SCHEMA, change)
            if was_current:
                template.append(migrating.text_of(settings.TEMPLATE_SCHEMA, change))
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


class _Trouble:
    """What went wrong, by schema: one tenant's trouble keeps no other's schema behind."""

    def __init__(self) -> None:
        self.told: dict[str, str] = {}
        self.in_a_row = 0

    @contextmanager
    def of(self, schema: str) -> Iterator[None]:
        """Note what a schema's migration raises, code's own errors included. Raises it where it is everybody's."""
        try:
            yield
            self.in_a_row = 0
        except Exception as error:
            self.told[schema] = (str(error).strip() or repr(error)).splitlines()[0]
            self.in_a_row += 1
            gone = connection.connection is not None and not connection.is_usable()
            if gone or self.in_a_row == MOST_IN_A_ROW:
                raise CommandError(f"Given up. {self.sentence()}") from error

    def sentence(self) -> str:
        return "Not migrated: " + "; ".join(f"{schema}: {error}" for schema, error in self.told.items())

    def tell(self) -> None:
        """Raise `CommandError` where a schema was not migrated."""
        if self.told:
            raise CommandError(self.sentence())


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
