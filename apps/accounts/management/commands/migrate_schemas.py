"""django-tenants' `migrate_schemas`, which also migrates the template schema and refreshes its dump."""

from typing import Any

from django.conf import settings
from django.db import connection
from django_tenants.management.commands.migrate_schemas import MigrateSchemasCommand
from django_tenants.utils import get_public_schema_name

from apps.accounts import template
from apps.accounts.tenancy import tenant_connection

#: How long a statement waits for a table that is in use; then it fails, and the command is repeated.
LOCK_TIMEOUT = "5s"


class Command(MigrateSchemasCommand):
    """`migrate_schemas [--shared|--tenant] [--schema …]`, then the template.

    It runs beside what it migrates: whoever waits for a table's lock lets nobody past, so it does not wait for long.
    """

    def handle(self, *args: Any, **options: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [LOCK_TIMEOUT])
        super().handle(*args, **options)
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {settings.TEMPLATE_SCHEMA}")
        super().handle(*args, **{**options, "schema_name": settings.TEMPLATE_SCHEMA, "shared": False, "tenant": True})
        tenant_connection().set_schema(get_public_schema_name())
        template.refresh()
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
