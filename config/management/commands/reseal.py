"""`manage.py reseal`: every sealed column anew, with the first of PALISADE_SEALING_KEYS. Harmless when repeated."""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction
from django.db.models import Model

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.sealing import SealedText


class Command(BaseCommand):
    """After a new key was put in front of the old one; afterwards the old one can go."""

    help = "Encrypt every sealed column anew, with the first sealing key."

    def handle(self, *args: Any, **options: Any) -> None:
        for model in apps.get_models():
            names = [field.name for field in model._meta.fields if isinstance(field, SealedText)]
            if names:
                rows = sum(_in(schema, model, names) for schema in _schemas_of(model))
                self.stdout.write(f"{model._meta.label}: {rows} rows")


def _schemas_of(model: type[Model]) -> list[str]:
    """Where its table is: in `public`, or in every tenant's schema."""
    if model._meta.app_config.name in settings.TENANT_APPS:
        return list(Tenant.objects.values_list("schema_name", flat=True))
    return ["public"]


def _in(schema: str, model: type[Model], names: list[str]) -> int:
    with in_tenant(schema):
        return _reseal(model, names)


def _reseal(model: type[Model], names: list[str]) -> int:
    """A row at a time, so that no table is locked for long."""
    keys = list(model._default_manager.values_list("pk", flat=True))
    for key in keys:
        with transaction.atomic():
            row = model._default_manager.select_for_update().filter(pk=key).first()
            if row is not None:
                row.save(update_fields=names)  # reading opened it, writing seals it
    return len(keys)
