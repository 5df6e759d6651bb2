"""The story of a return: the file is read through once before anything is touched, then Postgres, then Valkey.

Everything goes into an installation that has no tenant yet; one tenant goes into any that has the same secrets and
migrations and where none of its ids is taken: all of it, or nothing.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any, TypeVar

import msgspec
import psycopg
from django.apps import apps
from django.conf import settings
from django.core.files import File
from django.core.files.storage import storages
from django.core.management import call_command
from django.db import Error, connection, transaction
from django.db.models import F
from django.db.models.functions import Greatest
from psycopg import sql

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.accounts.tenancy import tenant_connection
from apps.api_keys.gate import Gate
from apps.api_keys.models import ApiKey
from apps.billing.models.invoice import NumberSeries
from apps.operations.backups import archive, memory, postgres, tenant_rows
from apps.operations.backups.manifest import FORMAT, Manifest, Secrets, applied, fingerprint, known
from apps.operations.backups.memory import Journaled, Kept
from apps.operations.backups.postgres import ProgramFailed
from apps.operations.backups.sealed_file import Damaged
from apps.valkey import Valkey

Row = TypeVar("Row", bound=msgspec.Struct)


class Refused(Exception):
    """It can't be restored here. The text says why and what to do; nothing was touched."""


def opened(raw: IO[bytes]) -> tuple[Manifest, Secrets]:
    """What a backup says of itself, after all of it was read. Raises `Damaged`."""
    found: dict[str, bytes] = {}
    for name, piece in archive.pieces(raw, settings.BACKUP_KEY):
        if name in ("manifest", "secrets"):
            found[name] = found.get(name, b"") + piece
    if len(found) != 2:
        raise Damaged("It says nothing of itself.")
    manifest = msgspec.json.decode(found["manifest"], type=Manifest)
    if manifest.format != FORMAT:
        raise Damaged(f"Its format is {manifest.format}; this version reads {FORMAT}.")
    return manifest, msgspec.json.decode(found["secrets"], type=Secrets)


def restore(raw: IO[bytes], valkey: Valkey, gate: Gate, now: datetime, *, actor: str = "command") -> Manifest:
    """Bring a backup back. Raises `Damaged`, `Refused`, `ProgramFailed`."""
    manifest, _ = opened(raw)
    _check_version(manifest)
    if manifest.tenant:
        _restore_tenant(raw, manifest)
        tenants = list(Tenant.objects.filter(slug=manifest.tenant))
    else:
        _restore_all(raw, manifest)
        tenants = list(Tenant.objects.all())
    _restore_files(raw)
    _restore_memory(raw, valkey, tenants, now)
    for digest, handle in ApiKey.objects.filter(tenant__in=tenants).values_list("digest", "tenant__handle"):
        gate.invalidate(digest, handle)
    tenant = tenants[0] if manifest.tenant else None
    after = {"made_at": manifest.made_at.isoformat()}
    record_audit(
        tenant=tenant, actor=actor, action="backup.restored", target=manifest.tenant or "all", now=now, after=after
    )
    return manifest


def others_are_here() -> bool:
    """Whether this installation has tenants already."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('public.accounts_tenant') IS NOT NULL")
        return bool(cursor.fetchone()[0]) and Tenant.objects.exists()


def _check_version(manifest: Manifest) -> None:
    if unknown := sorted(set(manifest.migrations) - known()):
        raise Refused(f"It was made by a newer version of Palisade ({unknown[0]} is unknown here): install that first.")


def _restore_all(raw: IO[bytes], manifest: Manifest) -> None:
    if others_are_here():
        raise Refused(
            "There are tenants here already. Everything is restored into an empty database: make one (createdb),"
            " name it in DATABASE_URL, and restore there."
        )
    _empty_database()
    try:
        for _, pieces in archive.contents(raw, settings.BACKUP_KEY, "postgres/"):
            postgres.restore(pieces)
    except ProgramFailed:
        _empty_database()
        raise
    if set(manifest.migrations) != known():
        call_command("migrate_schemas", verbosity=0)


def _empty_database() -> None:
    """Drop what migrations or a failed try have left: there is no tenant. The dump makes the schemas anew."""
    tenant_connection().set_schema_to_public()
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname = %s OR nspname ~ '^t_[0-9a-z]{6}$'",
                       [settings.TEMPLATE_SCHEMA])  # fmt: skip
        schemas = [name for (name,) in cursor.fetchall()]
    for schema in ["public", *schemas]:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


def _restore_tenant(raw: IO[bytes], manifest: Manifest) -> None:
    if set(manifest.migrations) != applied():
        raise Refused(
            "Its tables are of another version of Palisade. Restore the whole backup of that time into a database of"
            " its own, run migrate_schemas there, and take the tenant's backup from it."
        )
    if manifest.fingerprint != fingerprint(Secrets.ours()):
        raise Refused(
            "Its keys and sealed columns were made under other secrets: `manage.py restore FILE --secrets` shows the"
            " PALISADE_KEY_PEPPER and PALISADE_SEALING_KEYS this installation must have."
        )
    with _undone_when_it_fails(manifest.schema), transaction.atomic():
        with _triggers_asleep():
            _write_rows(raw)
        for _, pieces in archive.contents(raw, settings.BACKUP_KEY, "postgres/"):
            postgres.restore(pieces, "--single-transaction")
        _move_series_on(manifest)


def _write_rows(raw: IO[bytes]) -> None:
    rows = tenant_rows.Rows()
    try:
        for name, pieces in archive.contents(raw, settings.BACKUP_KEY, "rows/"):
            rows.write(apps.get_model(name.removeprefix("rows/")), pieces)
    except psycopg.IntegrityError as taken:
        raise Refused(f"It is here already, or an id of its rows is taken: {str(taken).strip()}") from None


@contextmanager
def _triggers_asleep() -> Iterator[None]:
    """Triggers would number the audit trail anew and refuse lines of issued invoices. Keys are held all the same."""
    tables = [sql.Identifier("public", model._meta.db_table) for model in tenant_rows.carried()]

    def all_of_them(words: str) -> None:
        with connection.cursor() as cursor:
            for table in tables:
                cursor.execute(sql.SQL("ALTER TABLE {} {} TRIGGER USER").format(table, sql.SQL(words)))

    all_of_them("DISABLE")
    yield
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    all_of_them("ENABLE")


@contextmanager
def _undone_when_it_fails(schema: str) -> Iterator[None]:
    """The schema is restored by another connection: what of it came is dropped when the rows don't."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regnamespace(%s) IS NOT NULL", [schema])
        if cursor.fetchone()[0]:
            raise Refused(f"It is here already: there is a schema {schema}.")
    try:
        yield
    except (Error, psycopg.Error, ProgramFailed, Refused, Damaged):
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))
        raise


def _move_series_on(manifest: Manifest) -> None:
    """Invoices' numbers go on behind those that were given there."""
    for series, year, last in manifest.series:
        row, made = NumberSeries.objects.get_or_create(series=series, year=year, defaults={"last": last})
        if not made:
            NumberSeries.objects.filter(pk=row.pk).update(last=Greatest(F("last"), last))


def _restore_files(raw: IO[bytes]) -> None:
    for name, pieces in archive.contents(raw, settings.BACKUP_KEY, "files/"):
        _, alias, path = name.split("/", 2)
        with tempfile.TemporaryFile() as file:
            shutil.copyfileobj(_Pieces(pieces), file)
            file.seek(0)
            storages[alias].delete(path)
            storages[alias].save(path, File(file))


class _Pieces:
    """Pieces as a file to read from."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    def read(self, size: int = -1) -> bytes:
        return next(self._pieces, b"")


def _restore_memory(raw: IO[bytes], valkey: Valkey, tenants: Iterable[Tenant], now: datetime) -> None:
    into: dict[str, Callable[[Iterator[bytes]], Any]] = {
        "valkey/journal": lambda pieces: memory.restore_journal(valkey, _from_lines(pieces, Journaled)),
        "valkey/kept": lambda pieces: memory.restore_kept(valkey, _from_lines(pieces, Kept)),
    }
    for name, pieces in archive.contents(raw, settings.BACKUP_KEY, "valkey/"):
        into[name](pieces)
    memory.count_anew(valkey, tenants, now)


def _from_lines(pieces: Iterable[bytes], kind: type[Row]) -> Iterator[Row]:
    decode, rest = msgspec.json.Decoder(kind).decode, b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from map(decode, lines)
