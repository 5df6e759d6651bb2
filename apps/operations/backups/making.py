"""The story of a backup: manifest, secrets, the journal, then Postgres as it is at one moment, then the rest of Valkey.

The journal is read before Postgres is: an entry that is recorded in between is in both, which is harmless, and none is
in neither. So a backup has everything that was acknowledged before it began.
"""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO

import msgspec
from django.conf import settings
from django.core.files.storage import FileSystemStorage, storages
from django.db import connection

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.accounts.services import BACKUP, record_check
from apps.operations.backups import archive, memory, postgres, tenant_rows
from apps.operations.backups.archive import ArchiveWriter
from apps.operations.backups.keeping import outlived
from apps.operations.backups.manifest import Manifest, Secrets
from apps.operations.models import Backup
from apps.valkey import Valkey

SUFFIX = ".backup"
#: Storages whose files are the customers'.
STORAGES = ("batches", "default")
_json = msgspec.json.Encoder().encode


def keep(folder: Path, valkey: Valkey, now: datetime, *, tenant: Tenant | None = None, actor: str = "command") -> Path:
    """Make a backup in a folder, note it, and remove what is older than PALISADE_BACKUP_DAYS; the new file.

    Raises whatever kept it from being made, once that is noted.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"palisade-{tenant.slug + '-' if tenant else ''}{now:%Y%m%dT%H%M%SZ}{SUFFIX}"
    row, begun = Backup(made_at=now, tenant=tenant.slug if tenant else "", file=str(path)), time.monotonic()
    try:
        _write_whole(path, valkey, now, tenant)
    except Exception as trouble:
        row.file, row.trouble = "", str(trouble)[:500] or type(trouble).__name__
        raise
    else:
        row.size = path.stat().st_size
    finally:
        row.seconds = time.monotonic() - begun
        row.save()
    record_audit(tenant=tenant, actor=actor, action="backup.made", target=path.name, now=now)
    if tenant is None:
        record_check(BACKUP, (), now)
        remove_outlived(now)
    return path


def write(raw: IO[bytes], valkey: Valkey, now: datetime, tenant: Tenant | None = None) -> None:
    """Write a backup of everything, or of one tenant, into an open file."""
    handle = tenant.handle if tenant else ""
    with archive.writing(raw, settings.BACKUP_KEY) as out:
        out.add("manifest", [_json(Manifest.of_now(tenant, now))])
        out.add("secrets", [_json(Secrets.ours())])
        out.add("valkey/journal", _as_lines(memory.journal(valkey, handle)))
        with postgres.snapshot() as moment:
            _write_tenant(out, tenant, moment) if tenant else _write_all(out, moment)
        out.add("valkey/kept", _as_lines(memory.kept(valkey, handle)))
        for storage in STORAGES:
            for name in _files(storage, tenant):
                out.add(f"files/{storage}/{name}", _blocks_of(storage, name))


def remove_outlived(now: datetime) -> int:
    """Remove backups of everything that have had their time; how many."""
    rows = {row.made_at: row for row in Backup.objects.filter(tenant="", trouble="", removed_at=None)}
    old = outlived(rows, now, settings.BACKUP_DAYS)
    for moment in old:
        Path(rows[moment].file).unlink(missing_ok=True)
        Backup.objects.filter(pk=rows[moment].pk).update(removed_at=now)
    return len(old)


def _write_whole(path: Path, valkey: Valkey, now: datetime, tenant: Tenant | None) -> None:
    """Under another name until it is whole and on the disk."""
    partial = path.with_suffix(".partial")
    try:
        with open(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b") as raw:
            write(raw, valkey, now, tenant)
            raw.flush()
            os.fsync(raw.fileno())
        partial.rename(path)
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()


def _write_all(out: ArchiveWriter, moment: str) -> None:
    schemas = list(Tenant.objects.order_by("pk").values_list("schema_name", flat=True))
    shared = postgres.dump(["public", settings.TEMPLATE_SCHEMA], moment, "--extension=*")
    out.add("postgres/shared", shared)
    for number, group in enumerate(postgres.groups([name for name in schemas if _exists(name)])):
        out.add(f"postgres/tenants-{number:04d}", postgres.dump(group, moment))


def _write_tenant(out: ArchiveWriter, tenant: Tenant, moment: str) -> None:
    for model in tenant_rows.carried():
        out.add(f"rows/{model._meta.label}", tenant_rows.rows(model, tenant))
    out.add("postgres/tenant", postgres.dump([tenant.schema_name], moment))


def _exists(schema: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regnamespace(%s) IS NOT NULL", [schema])
        return bool(cursor.fetchone()[0])


def _files(storage: str, tenant: Tenant | None) -> Iterator[str]:
    """Names of a storage's files that are kept: of disks of ours. What stands in a bucket is kept by its owner."""
    kept = storages[storage]
    if not isinstance(kept, FileSystemStorage):
        return
    root = Path(kept.location)
    if tenant is None:
        yield from _below(root, root)
    elif storage == "batches":
        yield from _below(root / tenant.schema_name, root)
    else:
        names = tenant.exports.exclude(file="").values_list("file", flat=True)
        yield from (name for name in names if kept.exists(name))


def _below(folder: Path, root: Path) -> Iterator[str]:
    names = (path.relative_to(root) for path in sorted(folder.rglob("*")) if path.is_file())
    return (str(name) for name in names if not name.parts[0].startswith("."))


def _blocks_of(storage: str, name: str) -> Iterator[bytes]:
    with storages[storage].open(name) as file:
        yield from iter(lambda: file.read(postgres.BLOCK), b"")


def _as_lines(rows: Iterable[msgspec.Struct]) -> Iterator[bytes]:
    return (_json(row) + b"\n" for row in rows)
