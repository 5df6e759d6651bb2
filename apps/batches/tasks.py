"""Celery tasks of batches. The tables are the queue: `go_on` sends tasks for what waits there, and a task that is lost,
repeated or sent twice does no harm."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from celery import Task, current_app, shared_task
from django.conf import settings
from django.db import OperationalError
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from apps.batches import assembly, chunks, list_files, planning, services
from apps.batches.models import Batch, Chunk
from apps.batches.storage import StoreAway
from apps.valkey import Away, server

log = logging.getLogger(__name__)

State = Batch.State
QUEUE = "batches"
#: Chunks of a batch that are asked for as soon as it is read; while workers are idle `go_on` asks for more.
AT_FIRST = 4


@shared_task
def go_on() -> int:
    """Send tasks for batches that wait, as many as keep the queue from running empty; how many. And tidy up."""
    for name in services.unsettled().values_list("pk", flat=True)[:100]:
        with _waiting(name):  # of one whose store is away nobody else waits for
            chunks.settle_free(name)
    services.remove_deleted()
    asked: list[tuple[Task, str]] = [(import_list, one) for one in list_files.waiting()]
    asked += [(plan, one) for one in _queued()]
    asked += [(score if waits else assemble, one) for one, waits in _running()]
    if not asked or _waiting_tasks():  # mostly nothing waits, and the broker needs not be asked
        return 0
    for task, name in asked:
        task.delay(name)
    return len(asked)


def _queued() -> list[str]:
    """Batches whose file is to be read."""
    queued = Batch.objects.filter(state=State.QUEUED, deleted_at=None).order_by("created_at")
    return list(queued.values_list("pk", flat=True))


def _running() -> list[tuple[str, bool]]:
    """Batches with something to do: chunks that wait, or results to put together."""
    waits = Exists(Chunk.objects.filter(batch=OuterRef("pk"), done=False))
    still = Q(state=State.RUNNING) | Q(assembled_at=None, rows_total__isnull=False)
    rows = Batch.objects.filter(still, deleted_at=None).annotate(waits=waits).order_by("created_at")
    return [(row.pk, row.waits and row.state == State.RUNNING) for row in rows]


def _waiting_tasks() -> int:
    """Tasks of ours no worker has taken yet."""
    with current_app.connection_for_read() as connection, connection.channel() as channel:
        return int(channel.queue_declare(QUEUE, passive=False).message_count)


@shared_task
def plan(batch_id: str) -> None:
    """Read a batch's file and cut it into chunks."""
    with _waiting(batch_id):
        if planning.plan(batch_id):
            for _ in range(AT_FIRST):
                score.delay(batch_id)


@shared_task
def score(batch_id: str) -> None:
    """Score one chunk of a batch, and ask for the next; after the last one for the results."""
    batch = Batch.objects.filter(pk=batch_id).first()
    if batch is None:
        return
    with _waiting(batch_id), services.failing(batch):
        following = score if chunks.score_next(batch_id, timezone.now()) else assemble
        following.delay(batch_id)


@shared_task
def assemble(batch_id: str) -> None:
    """Put the results of a batch that stands still together."""
    with _waiting(batch_id):
        assembly.assemble(batch_id)


@shared_task
def import_list(import_id: str) -> None:
    """Put a long file of a list's items in force."""
    with _waiting(import_id):
        list_files.work_off(import_id, server(settings.REDIS_URL, settings.REDIS_TIMEOUT), timezone.now)


@contextmanager
def _waiting(batch_id: str) -> Iterator[None]:
    """Leave a batch as it is while a store is away: `go_on` asks for it again."""
    try:
        yield
    except (Away, OperationalError, StoreAway) as trouble:
        log.warning("batch %s waits: %s", batch_id, trouble)


@shared_task
def forget_old_batches() -> int:
    """Delete batches whose files are no longer kept, and what became of files of lists; how many."""
    return services.forget_old(timezone.now()) + list_files.forget_old(timezone.now())
