"""What a backup says of itself: the first thing in it."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from apps.accounts.models import Tenant
from apps.billing.models.invoice import NumberSeries

FORMAT = 1


class Secrets(msgspec.Struct, frozen=True):
    """Without these keys don't answer and sealed columns don't open: the whole backup is sealed under another."""

    PALISADE_SECRET_KEY: str
    PALISADE_KEY_PEPPER: str
    PALISADE_TOKEN_SECRET: str
    PALISADE_SEALING_KEYS: str

    @classmethod
    def ours(cls) -> "Secrets":
        return cls(settings.SECRET_KEY, settings.KEY_PEPPER, settings.TOKEN_SECRET, ",".join(settings.SEALING_KEYS))


class Manifest(msgspec.Struct, frozen=True):
    """When it was made, of what, by which version, under which secrets."""

    format: int
    made_at: datetime
    tenant: str  # its slug; "" = everything
    schema: str  # the tenant's; "" = everything
    migrations: Sequence[str]  # "app.name", applied in public
    fingerprint: str  # of pepper and sealing keys
    series: Sequence[tuple[str, int, int]]  # (series, year, last number given)

    @classmethod
    def of_now(cls, tenant: Tenant | None, now: datetime) -> "Manifest":
        return cls(
            format=FORMAT,
            made_at=now,
            tenant=tenant.slug if tenant else "",
            schema=tenant.schema_name if tenant else "",
            migrations=sorted(applied()),
            fingerprint=fingerprint(Secrets.ours()),
            series=list(NumberSeries.objects.values_list("series", "year", "last")),
        )


def applied() -> set[str]:
    """Migrations that `public` has."""
    return {f"{app}.{name}" for app, name in MigrationRecorder(connection).applied_migrations()}


def known() -> set[str]:
    """Migrations that this version of the code has."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    return {f"{app}.{name}" for app, name in loader.disk_migrations}


def fingerprint(secrets: Secrets) -> str:
    """What tells whether two installations read each other's keys and sealed columns; it tells nothing else."""
    parts = "\n".join([secrets.PALISADE_KEY_PEPPER, secrets.PALISADE_SEALING_KEYS])
    return hmac.new(parts.encode(), b"palisade backup", hashlib.sha256).hexdigest()


def as_environment(secrets: Secrets) -> Mapping[str, str]:
    return msgspec.structs.asdict(secrets)
