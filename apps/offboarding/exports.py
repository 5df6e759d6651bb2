"""Exports: asked for, made in the background with progress, fetched, forgotten.

waiting → running → ready      a row comes further every thousand rows; one that has not for five minutes is begun anew
                  → failed     after three tries
"""

import csv
import io
import json
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import IO, Any

from django.core.files import File
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from apps import spreadsheets
from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.notifications.models import new_id
from apps.notifications.services import notify
from apps.offboarding.models import KEPT, Export
from apps.offboarding.parts import PARTS, Part, table_of_contents
from apps.times import rfc3339

State = Export.State
#: Rows between two notes of how far it is.
A_STEP = 1_000
STUCK = timedelta(minutes=5)
MOST_TRIES = 3


def ask_for_export(*, tenant: Tenant, now: datetime, actor: str) -> Export:
    """Begin an export; the one under way when there is one. It is made in the background."""
    try:
        with transaction.atomic():
            made = Export.objects.create(id=new_id("exp", now), tenant=tenant, asked_at=now, asked_by=actor)
            record_audit(tenant=tenant, actor=actor, action="export.asked", target=made, now=now)
            return made
    except IntegrityError:
        return Export.objects.get(tenant=tenant, state__in=(State.WAITING, State.RUNNING))


def make_next(now: datetime) -> Export | None:
    """Make the export that has waited longest; None when none waits. Harmless when many do it at once."""
    claimed = _claim(now)
    if claimed is None:
        return None
    with tempfile.TemporaryFile() as file:
        claimed.total = sum(_counted(part, claimed.tenant) for part in PARTS)
        _write(claimed, file)
        _keep(claimed, file)
    return claimed


def fetched(*, export: Export, now: datetime, actor: str) -> IO[bytes]:
    """The file of a finished export, and a line of the audit trail."""
    record_audit(tenant=export.tenant, actor=actor, action="export.fetched", target=export, now=now)
    return export.file.open("rb")


def forget_old(now: datetime) -> int:
    """Delete exports nobody may fetch any more; how many."""
    old = list(Export.objects.filter(finished_at__lt=now - KEPT))
    for export in old:
        forget(export)
    return len(old)


def forget(export: Export) -> None:
    """Delete an export with its file. Harmless when repeated."""
    if export.file:
        export.file.delete(save=False)
    export.delete()


def _claim(now: datetime) -> Export | None:
    stuck = Q(state=State.RUNNING, touched_at__lt=now - STUCK)
    Export.objects.filter(stuck, tries__gte=MOST_TRIES).update(state=State.FAILED, finished_at=now)
    due = Export.objects.filter(Q(state=State.WAITING) | stuck)
    found = due.select_related("tenant").order_by("asked_at").first()
    if found is None:
        return None
    mine = due.filter(pk=found.pk, tries=found.tries)
    taken = mine.update(state=State.RUNNING, touched_at=now, tries=F("tries") + 1, done=0)
    return found if taken else None


def _counted(part: Part, tenant: Tenant) -> int:
    with in_tenant(tenant):
        return part.rows(tenant).count()


def _write(export: Export, file: IO[bytes]) -> None:
    """The zip, part after part."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.writestr("README.txt", "\n".join(table_of_contents()) + "\n")
        for part in PARTS:
            with archive.open(part.file, "w", force_zip64=True) as raw, io.TextIOWrapper(raw, "utf-8") as out:
                rows = _noted(export, _rows(part, export.tenant))
                _as_csv(rows, out) if part.file.endswith(".csv") else _as_json_lines(rows, out)


def _rows(part: Part, tenant: Tenant) -> Iterator[Mapping[str, Any]]:
    with in_tenant(tenant):
        for row in part.rows(tenant).iterator(A_STEP):
            yield part.row(row)


def _noted(export: Export, rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The rows; how far one is, is noted as they go by."""
    for row in rows:
        yield row
        export.done += 1
        if export.done % A_STEP == 0:
            Export.objects.filter(pk=export.pk).update(done=export.done, total=export.total, touched_at=timezone.now())


def _as_csv(rows: Iterable[Mapping[str, Any]], out: io.TextIOBase) -> None:
    writer: Any = None
    for row in rows:
        if writer is None:
            writer = csv.writer(out)
            writer.writerow(row)
        writer.writerow([_cell(value) for value in row.values()])


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return _cell(" ".join(map(str, value)))
    if isinstance(value, datetime):
        return rfc3339(value)
    return spreadsheets.cell(value)


def _as_json_lines(rows: Iterable[Mapping[str, Any]], out: io.TextIOBase) -> None:
    for row in rows:
        out.write(json.dumps(row, cls=DjangoJSONEncoder, ensure_ascii=False) + "\n")


def _keep(export: Export, file: IO[bytes]) -> None:
    """Store the file, and tell owners and admins."""
    now = timezone.now()
    size = file.tell()
    file.seek(0)
    export.file.save(f"{export.pk}.zip", File(file), save=False)
    ready = {"state": State.READY, "finished_at": now, "size": size, "done": export.done, "total": export.done}
    with transaction.atomic():
        if not Export.objects.filter(pk=export.pk).update(file=export.file.name, **ready):
            export.file.delete(save=False)  # it was forgotten meanwhile
            return
        data = {"size": size, "until": rfc3339(now + KEPT)}
        notify(tenant=export.tenant, kind="export.ready", data=data, key=f"export:{export.pk}", now=now)
    export.refresh_from_db()
