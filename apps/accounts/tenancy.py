"""Tenant code names its tenant: `with in_tenant(tenant): …`. There is no ambient tenant."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import InterfaceError, OperationalError, connection
from django_tenants.utils import schema_context

from apps.accounts.models import Tenant

#: What says that Postgres is away. Other database errors are faults of ours and are told as such.
POSTGRES_AWAY = (OperationalError, InterfaceError)
#: In the session of an operator who looks on as a customer's person: the one tenant, the operator, since when.
LOOKING_ON = "looking_on"


@contextmanager
def in_tenant(tenant: Tenant | str) -> Iterator[None]:
    """Run the block in a tenant's schema (a `Tenant` or the name of its schema)."""
    with schema_context(tenant if isinstance(tenant, str) else tenant.schema_name):
        yield


def tenant_connection() -> Any:
    """Django's connection as django-tenants has extended it (`set_schema`, `set_schema_to_public`)."""
    return connection
