"""Commands of others that would go around ours: `manage.py` knows them not.

django-tenants' own make, copy, rename and drop schemas without handle, plan, audit trail and gate, and make people
without our checks: `tenant_create` and the operators' pages are there for that.
"""

from django.core.management import get_commands

HIDDEN = (
    "clone_tenant",
    "create_domain",
    "create_missing_schemas",
    "create_tenant",
    "create_tenant_superuser",
    "delete_domain",
    "delete_tenant",
    "rename_schema",
)


def hide() -> None:
    """Take them from the commands Django has found; it looks once a process."""
    for name in HIDDEN:
        get_commands().pop(name, None)
