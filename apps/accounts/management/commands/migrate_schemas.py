"""django-tenants' `migrate_schemas`, which also migrates the template schema and refreshes its dump."""

from typing import Any

from django.conf import settings
from django.db import connection
from django_tenants.management.commands.migrate_schemas import MigrateSchemasCommand
from django_tenants.utils import get_public_schema_name

from apps.accounts import template
from apps.accounts.tenancy import tenant_connection


class Command(MigrateSchemasCommand):
    """`migrate_schemas [--shared|--tenant] [--schema …]`, then the template."""

    def handle(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **options)
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {settings.TEMPLATE_SCHEMA}")
        super().handle(*args, **{**options, "schema_name": settings.TEMPLATE_SCHEMA, "shared": False, "tenant": True})
        tenant_connection().set_schema(get_public_schema_name())
        template.refresh()
