"""Files of lists that are too long to be waited for: kept, put in force in the background, told of.

Whoever works at one holds its row in the transaction that makes the items, so nobody else does; of a worker that dies
nothing is in force, and the next begins anew. How far it is stands in Valkey: the transaction's own rows nobody sees.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Max, QuerySet

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import names_of
from apps.batches import storage
from apps.batches.models import ListImport
from apps.batches.services import Received
from apps.notifications.models import new_id
from apps.scoring.lists import importing, services
from apps.scoring.lists.given import UnreadableList
from apps.scoring.lists.importing import FileOfItems, Imported
from apps.scoring.models import ValueList
from apps.valkey import Away, Valkey

State = ListImport.State
#: Files of a tenant's lists that may wait at once, and how long what became of one is told.
MOST_WAITING, KEPT = 20, timedelta(days=30)
#: How far one is, is forgotten when it comes no further.
FORGOTTEN_SECONDS = 600
RUNNING = "running"


class TooManyWaiting(ValueError):
    """The tenant has as many files waiting as it may have."""


class Stand(NamedTuple):
    """How far a file is: its state in a word, and percent, 100 only when it is completed."""

    state: str
    percent: int


def keep(
    *, tenant: Tenant, row: ValueList, received: Received, is_csv: bool, lines: int, now: datetime, actor: str
) -> ListImport:
    """Keep a received file until a worker puts it in force. Raises `TooManyWaiting`, `OSError`."""
    if ListImport.objects.filter(tenant=tenant, state=State.QUEUED).count() >= MOST_WAITING:
        raise TooManyWaiting(f"{MOST_WAITING} files of lists may wait at once.")
    made = ListImport(
        id=new_id("lim", now), tenant=tenant, livemode=row.livemode, list_id=row.pk, list_name=row.name,
        asked_by=actor[:200], created_at=now, offset=received.offset, size=received.size, is_csv=is_csv, lines=lines,
    )  # fmt: skip
    made.upload = f"{tenant.schema_name}/{made.pk}/upload"
    storage.keep(made.upload, received.path)
    made.save(force_insert=True)
    return made


def find(tenant_id: int, row: ValueList, import_id: str) -> ListImport | None:
    return _of(tenant_id, row).filter(pk=import_id).first()


def newest(tenant_id: int, row: ValueList) -> ListImport | None:
    """The last file that was sent for a list."""
    return _of(tenant_id, row).order_by("-created_at").first()


def stand_of(row: ListImport, valkey: Valkey) -> Stand:
    """How far a file is, as far as anybody can say."""
    if row.state != State.QUEUED:
        return Stand(row.state, 100 if row.state == State.COMPLETED else 0)
    with suppress(Away):
        if (read := valkey.command("GET", _progress(row))) is not None:
            return Stand(RUNNING, min(99, 100 * int(read) // max(1, row.lines)))
    return Stand(row.state, 0)


def waiting() -> list[str]:
    """Files nobody is at, the first sent first."""
    with transaction.atomic():
        rows = ListImport.objects.select_for_update(skip_locked=True).filter(state=State.QUEUED)
        return [row.pk for row in rows.order_by("created_at")]


def sent_until(tenant: Tenant, until: datetime) -> list[str]:
    """A tenant's files that were sent by then and wait still."""
    rows = ListImport.objects.filter(tenant=tenant, state=State.QUEUED, created_at__lte=until)
    return list(rows.order_by("created_at").values_list("pk", flat=True))


def in_force_by(tenant: Tenant, row: ValueList, until: datetime) -> datetime:
    """When all of what had been sent for a list by then was in force, or `until`."""
    late = ListImport.objects.filter(
        tenant=tenant, list_id=row.pk, created_at__lte=until, finished_at__gt=until, state=State.COMPLETED
    )
    return late.aggregate(last=Max("finished_at"))["last"] or until


def work_off(import_id: str, valkey: Valkey, clock: Callable[[], datetime]) -> bool:
    """Put a file in force that waits; False when another does, or it is over. Harmless when repeated.

    Raises `apps.valkey.Away`, `OSError`: it waits on.
    """
    with transaction.atomic():
        rows = ListImport.objects.select_for_update(skip_locked=True, of=("self",)).select_related("tenant")
        row = rows.filter(pk=import_id, state=State.QUEUED).first()
        if row is None:
            return False
        _end(row, clock, **_imported(row, valkey, clock))
    storage.drop(row.upload)
    return True


def forget(tenant: Tenant) -> None:
    """Delete a tenant's files, and what became of them."""
    for row in ListImport.objects.filter(tenant=tenant):
        storage.drop(row.upload)
        row.delete()


def forget_old(now: datetime) -> int:
    """Delete what became of files long ago; of how many."""
    return int(ListImport.objects.filter(finished_at__lt=now - KEPT).delete()[0])


# --- its steps --------------------------------------------------------------------------------------------------------


def _of(tenant_id: int, row: ValueList) -> QuerySet[ListImport]:
    return ListImport.objects.filter(tenant_id=tenant_id, list_id=row.pk).select_related("tenant")


def _imported(row: ListImport, valkey: Valkey, clock: Callable[[], datetime]) -> dict[str, Any]:
    """What became of a file, as it is kept."""
    try:
        with transaction.atomic():
            return _as_kept(_import(row, valkey, clock))
    except services.Gone:
        return _failed("The list was deleted meanwhile.")
    except (UnreadableList, services.TooMany) as wrong:
        return _failed(f"{wrong} Nothing of the file is in force.")


def _import(row: ListImport, valkey: Valkey, clock: Callable[[], datetime]) -> Imported:
    with storage.at_hand(row.upload) as file:
        of = FileOfItems(file, row.offset, row.size, row.is_csv)
        return importing.import_whole(
            tenant=row.tenant, row=_list(row), of=of, valkey=valkey, clock=clock, actor=row.asked_by,
            came_to=lambda lines: _came_to(row, lines, valkey),
        )  # fmt: skip


def _list(row: ListImport) -> ValueList:
    """The list it is for. Raises `services.Gone`."""
    with in_tenant(row.tenant):
        found = ValueList.objects.filter(pk=row.list_id, deleted_at=None).first()
    if found is None:
        raise services.Gone(row.list_name)
    return found


def _as_kept(found: Imported) -> dict[str, Any]:
    problems = [[line.number, *line.problem] for line in found.problems if line.problem is not None]
    return {"state": State.COMPLETED, **found.added._asdict(), "wrong": found.wrong, "problems": problems}


def _failed(reason: str) -> dict[str, Any]:
    return {"state": State.FAILED, "reason": reason}


def _end(row: ListImport, clock: Callable[[], datetime], **said: Any) -> None:
    ListImport.objects.filter(pk=row.pk).update(finished_at=clock(), **said)


def _came_to(row: ListImport, lines: int, valkey: Valkey) -> None:
    with suppress(Away):
        valkey.command("SET", _progress(row), lines, "EX", FORGOTTEN_SECONDS)


def _progress(row: ListImport) -> str:
    return f"{names_of(row.tenant.handle, row.livemode).list(row.list_name)}:{row.pk}"
