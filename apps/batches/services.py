"""What can be done with a batch: received, looked at, cancelled, resumed, deleted; and how it ends."""

import errno
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import psycopg
from django.db import OperationalError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.batches import storage
from apps.batches.models import KEPT, Batch, Chunk
from apps.notifications.models import new_id
from apps.notifications.services import notify
from apps.times import rfc3339

log = logging.getLogger(__name__)

State = Batch.State
#: Batches of a tenant that may wait or run at once.
MOST_UNDER_WAY = 20
DISK_FULL = (
    "The disk that keeps batches' files is full. Nothing more was scored or billed; resume it when there is room."
)


class TooMany(ValueError):
    """The tenant has as many batches under way as it may have."""


class NotNow(ValueError):
    """The batch is not in a state for this; the message says which it is in."""


class Received(NamedTuple):
    """A file as it arrived on this machine; `offset` and `size` say where in it the table stands."""

    path: Path
    offset: int
    size: int
    filename: str
    format: str


class Wanted(NamedTuple):
    """How it shall be scored."""

    schema: str
    model: str = ""
    explain: str = Batch.Explain.FLAGGED
    callback: str = ""
    mapping: Mapping[str, str] = {}


def create_batch(
    *, tenant: Tenant, livemode: bool, received: Received, wanted: Wanted, now: datetime, actor: str, key_id: int = 0
) -> Batch:
    """Keep a received file and queue it. Raises `TooMany`, `OSError` when it can't be kept."""
    under_way = of_tenant(tenant, livemode).filter(state__in=[State.QUEUED, State.RUNNING])
    if under_way.count() >= MOST_UNDER_WAY:
        raise TooMany
    batch = Batch(
        id=new_id("btc", now),
        tenant=tenant,
        livemode=livemode,
        key_id=key_id,
        asked_by=actor,
        created_at=now,
        touched_at=now,
        filename=received.filename,
        format=received.format,
        schema=wanted.schema,
        model=wanted.model,
        explain=wanted.explain,
        callback=wanted.callback,
        mapping=dict(wanted.mapping),
        upload_offset=received.offset,
        upload_bytes=received.size,
    )
    batch.upload = storage.place(batch, "upload")
    storage.keep(batch.upload.name, received.path)
    with transaction.atomic():
        batch.save(force_insert=True)
        after = {"schema": batch.schema, "bytes": batch.upload_bytes}
        record_audit(tenant=tenant, actor=actor, action="batch.created", target=batch, after=after, now=now)
    return batch


def of_tenant(tenant: Tenant | int, livemode: bool) -> QuerySet[Batch]:
    """The batches of a tenant and mode that can be seen."""
    pk = tenant if isinstance(tenant, int) else tenant.pk
    return Batch.objects.filter(tenant_id=pk, livemode=livemode, deleted_at=None).select_related("tenant")


def cancel_batch(*, batch: Batch, now: datetime, actor: str) -> Batch:
    """Score no further row; what is scored stays. Harmless when repeated. Raises `NotNow` when it has ended."""
    with _changing(batch) as row:
        if row.state in (State.COMPLETED, State.FAILED):
            raise NotNow(f"It is {row.state}.")
        if row.state != State.CANCELLED:
            row.state, row.finished_at, row.touched_at, row.assembled_at = State.CANCELLED, now, now, None
            row.save(update_fields=["state", "finished_at", "touched_at", "assembled_at"])
            record_audit(tenant=row.tenant, actor=actor, action="batch.cancelled", target=row, now=now)
    return row


def resume_batch(*, batch: Batch, now: datetime, actor: str) -> Batch:
    """Go on with one that paused, or failed once it was read. Harmless when it runs. Raises `NotNow`."""
    with _changing(batch) as row:
        resumable = row.state == State.PAUSED or (row.state == State.FAILED and row.rows_total is not None)
        if not resumable and row.state != State.RUNNING:
            raise NotNow(f"It is {row.state}: only one that is paused, or failed after it was read, can go on.")
        if resumable:
            row.state, row.reason, row.touched_at = State.RUNNING, "", now
            row.finished_at = row.assembled_at = None
            row.save(update_fields=["state", "reason", "finished_at", "touched_at", "assembled_at"])
            record_audit(tenant=row.tenant, actor=actor, action="batch.resumed", target=row, now=now)
    return row


def delete_batch(*, batch: Batch, now: datetime, actor: str) -> None:
    """Delete a batch and its files; its decisions stay. Whoever scores a chunk of it now keeps nothing of that."""
    with _changing(batch) as row:
        if row.deleted_at is None:
            row.deleted_at = row.touched_at = now
            row.save(update_fields=["deleted_at", "touched_at"])
            record_audit(tenant=row.tenant, actor=actor, action="batch.deleted", target=row, now=now)


@contextmanager
def _changing(batch: Batch) -> Iterator[Batch]:
    with transaction.atomic():
        yield Batch.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=batch.pk)


def want_format(batch: Batch, wanted: str) -> None:
    """Have the results made in one more format. Harmless when repeated."""
    with _changing(batch) as row:
        if wanted not in row.formats:
            row.formats, row.assembled_at = sorted({*row.formats, wanted}), None
            row.save(update_fields=["formats", "assembled_at"])


# --- how it ends ------------------------------------------------------------------------------------------------------


@contextmanager
def failing(batch: Batch) -> Iterator[None]:
    """Fail the batch when the disk is full, ours or Postgres'; other trouble passes on: it is tried again."""
    try:
        yield
    except OSError as trouble:
        if trouble.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        fail(batch, DISK_FULL)
    except OperationalError as trouble:
        if not isinstance(trouble.__cause__, psycopg.errors.DiskFull):
            raise
        fail(batch, DISK_FULL)


def fail(batch: Batch, reason: str) -> None:
    """End a batch that can't go on, say why, and tell who waits for it."""
    now = timezone.now()
    going = Batch.objects.filter(pk=batch.pk, state__in=[State.QUEUED, State.RUNNING])
    with transaction.atomic():
        if going.update(state=State.FAILED, reason=reason[:500], finished_at=now, touched_at=now, assembled_at=None):
            notify_of(batch.pk, "batch.failed", now)


def notify_of(batch_id: str, kind: str, now: datetime) -> None:
    """Tell webhooks how a batch stands; its callback is told also of what it did not ask for."""
    batch = Batch.objects.select_related("tenant").get(pk=batch_id)
    data = {
        "batch": batch.pk, "state": batch.state, "reason": batch.reason, "rows_total": batch.rows_total,
        "rows_done": batch.rows_done, "units": batch.units, "problems": batch.problems,
    }  # fmt: skip
    key = f"{kind}:{batch.pk}:{rfc3339(now)}"
    only = (batch.callback,) if batch.callback else ()
    notify(tenant=batch.tenant, kind=kind, data=data, key=key, now=now, livemode=batch.livemode, also=only)


# --- what is looked for -----------------------------------------------------------------------------------------------


def unsettled() -> QuerySet[Chunk]:
    """Chunks for which units may be reserved that nobody will bill: a worker died before it settled, or the batch
    stands still."""
    still = Q(batch__deleted_at__isnull=False) | ~Q(batch__state__in=[State.QUEUED, State.RUNNING])
    return Chunk.objects.filter(Q(done=True) | still, settled=False, occurred_at__isnull=False).order_by("pk")


def remove_deleted() -> int:
    """Remove deleted batches of which no chunk is being scored or unsettled, with their files; how many."""
    gone = [
        batch for batch in Batch.objects.filter(deleted_at__isnull=False).select_related("tenant") if _remove(batch)
    ]
    return len(gone)


@transaction.atomic
def _remove(batch: Batch) -> bool:
    chunks = Chunk.objects.filter(batch=batch).order_by("pk")
    free = chunks.select_for_update(skip_locked=True).values_list("pk", flat=True)
    if len(free) < chunks.count() or unsettled().filter(batch=batch).exists():
        return False
    storage.forget(batch)
    Batch.objects.filter(pk=batch.pk).delete()
    return True


def forget_old(now: datetime) -> int:
    """Delete batches that ended so long ago that their files are no longer kept; how many."""
    return Batch.objects.filter(finished_at__lt=now - KEPT, deleted_at=None).update(deleted_at=now)
