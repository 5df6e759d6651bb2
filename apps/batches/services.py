"""What can be done with a batch: received, looked at, cancelled, resumed, deleted; and how it ends."""

import errno
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import psycopg
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.accounts.audit import record_audit
from apps.accounts.models import Tenant
from apps.batches import storage
from apps.batches.models import DRAFT_KEPT, KEPT, Batch, Chunk
from apps.notifications.models import new_id
from apps.notifications.services import notify
from apps.times import rfc3339
from apps.usage.metering.journal import IDEMPOTENCY_SECONDS

log = logging.getLogger(__name__)

State = Batch.State
#: Bytes a file may have, as it is sent.
MOST_BYTES = 1 << 30
#: Batches of a tenant that may wait or run at once.
MOST_UNDER_WAY = 20
#: Drafts a tenant may have at once.
MOST_DRAFTS = 5
DISK_FULL = (
    "The disk that keeps batches' files is full. Nothing more was scored or billed; resume it when there is room."
)


class TooMany(ValueError):
    """The tenant has as many batches under way, or drafts, as it may have."""


class NotNow(ValueError):
    """The batch is not in a state for this; the message says which it is in."""


class KeyReused(ValueError):
    """The Idempotency-Key came with another request before."""


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


class Once(NamedTuple):
    """An Idempotency-Key's hash, and the fingerprint of the request it came with."""

    key: str
    fingerprint: str


def create_batch(
    *,
    tenant: Tenant,
    livemode: bool,
    received: Received,
    wanted: Wanted,
    now: datetime,
    actor: str,
    key_id: int = 0,
    once: Once | None = None,
) -> Batch:
    """Keep a received file and queue it. Raises `TooMany`, `OSError` when it can't be kept, `IntegrityError` when a
    batch of the same Idempotency-Key is there."""
    _require_room(tenant, livemode)
    batch = _batch_of(tenant, livemode, received, wanted, now, actor)
    batch.key_id = key_id
    if once is not None:
        batch.idempotency_key, batch.fingerprint = once
    return _kept(batch, received, "batch.created")


def created_before(tenant: Tenant, livemode: bool, once: Once, now: datetime) -> Batch | None:
    """The batch an Idempotency-Key was used for within a day; None when there is none. Raises `KeyReused`."""
    rows = Batch.objects.filter(tenant=tenant, livemode=livemode, idempotency_key=once.key)
    rows.filter(created_at__lte=now - timedelta(seconds=IDEMPOTENCY_SECONDS)).update(idempotency_key="")
    found = rows.select_related("tenant").first()
    if found is not None and found.fingerprint != once.fingerprint:
        raise KeyReused
    return found


def create_draft(
    *, tenant: Tenant, livemode: bool, received: Received, wanted: Wanted, now: datetime, actor: str
) -> Batch:
    """Keep a received file until its sender starts it, for a day. Raises `TooMany`, `OSError` when it can't be kept."""
    if drafts_of(tenant, livemode).count() >= MOST_DRAFTS:
        raise TooMany
    batch = _batch_of(tenant, livemode, received, wanted, now, actor)
    batch.state = State.DRAFT
    return _kept(batch, received, "batch.uploaded")


def change_draft(*, batch: Batch, wanted: Wanted) -> Batch:
    """Say anew how a draft shall be scored; nothing changes once it is started."""
    with _changing(batch) as row:
        if row.state == State.DRAFT:
            row.schema, row.model, row.explain, row.callback = wanted[:4]
            row.mapping = dict(wanted.mapping)
            row.save(update_fields=["schema", "model", "explain", "callback", "mapping"])
    return row


def start_draft(*, batch: Batch, now: datetime, actor: str) -> Batch:
    """Queue a draft. Harmless when repeated. Raises `TooMany`."""
    _require_room(batch.tenant, batch.livemode)
    with _changing(batch) as row:
        if row.state == State.DRAFT:
            row.state, row.created_at, row.touched_at, row.asked_by = State.QUEUED, now, now, actor
            row.save(update_fields=["state", "created_at", "touched_at", "asked_by"])
            _record_creation(row, "batch.created")
    return row


def _require_room(tenant: Tenant, livemode: bool) -> None:
    under_way = of_tenant(tenant, livemode).filter(state__in=[State.QUEUED, State.RUNNING])
    if under_way.count() >= MOST_UNDER_WAY:
        raise TooMany


def _batch_of(tenant: Tenant, livemode: bool, received: Received, wanted: Wanted, now: datetime, actor: str) -> Batch:
    return Batch(
        id=new_id("btc", now),
        tenant=tenant,
        livemode=livemode,
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


def _kept(batch: Batch, received: Received, action: str) -> Batch:
    """Keep the file, then the batch. Raises `OSError`, `IntegrityError`."""
    batch.upload = storage.place(batch, "upload")
    storage.keep(str(batch.upload.name), received.path)
    try:
        with transaction.atomic():
            batch.save(force_insert=True)
            _record_creation(batch, action)
    except IntegrityError:
        storage.forget(batch)
        raise
    return batch


def _record_creation(batch: Batch, action: str) -> None:
    after = {"schema": batch.schema, "bytes": batch.upload_bytes}
    record_audit(
        tenant=batch.tenant, actor=batch.asked_by, action=action, target=batch, after=after, now=batch.created_at
    )


def of_tenant(tenant: Tenant | int, livemode: bool) -> QuerySet[Batch]:
    """The batches of a tenant and mode that can be seen; drafts are not among them."""
    return _seen(tenant, livemode).exclude(state=State.DRAFT)


def drafts_of(tenant: Tenant | int, livemode: bool) -> QuerySet[Batch]:
    """The files of a tenant and mode that wait to be started."""
    return _seen(tenant, livemode).filter(state=State.DRAFT)


def _seen(tenant: Tenant | int, livemode: bool) -> QuerySet[Batch]:
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
            row.idempotency_key = ""
            row.save(update_fields=["deleted_at", "touched_at", "idempotency_key"])
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
    """Delete batches that ended so long ago that their files are no longer kept, and drafts nobody started; how
    many."""
    over = Q(finished_at__lt=now - KEPT) | Q(state=State.DRAFT, created_at__lt=now - DRAFT_KEPT)
    return Batch.objects.filter(over, deleted_at=None).update(deleted_at=now, idempotency_key="")
