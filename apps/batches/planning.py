"""Reading a batch's file: checked from end to end before a row is scored, and cut into parts that workers take.

A file that can't be read fails the batch with a sentence, and nothing of it was billed.
"""

from collections.abc import Iterator
from functools import partial
from typing import cast

import msgspec
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.batches import chunks, own_models, storage
from apps.batches.bytes_in import UnreadableFile
from apps.batches.headings import match
from apps.batches.locks import alone_with
from apps.batches.models import Batch, Chunk, chunk_id
from apps.batches.parts import store_all
from apps.batches.reading import Format, open_source
from apps.batches.sections import section
from apps.batches.services import fail, failing
from apps.scoring.engine import shelf
from apps.scoring.engine.engine import ENSEMBLE
from apps.scoring.engine.models import ModelRefused, active
from apps.scoring.engine.schemas import SCHEMAS

State = Batch.State


def plan(batch_id: str) -> bool:
    """Read a queued batch's file and cut it into chunks; False when there is nothing to do, or it can't be read."""
    with alone_with(f"plan:{batch_id}") as mine:
        batch = Batch.objects.select_related("tenant").filter(pk=batch_id, state=State.QUEUED, deleted_at=None).first()
        if not mine or batch is None:
            return False
        try:
            with failing(batch):
                _plan(batch)
        except UnreadableFile as wrong:
            fail(batch, str(wrong))
            return False
        return Batch.objects.filter(pk=batch_id, state=State.RUNNING).exists()


def _plan(batch: Batch) -> None:
    """Parts are written, then chunks and state in one transaction. Raises `UnreadableFile`, `OSError`."""
    with storage.at_hand(str(batch.upload.name)) as file:
        source = open_source(section(file, batch.upload_offset, batch.upload_bytes), cast(Format, batch.format or None))
        if source.format != "jsonl":  # whose names are known at its end
            match(SCHEMAS[batch.schema], source.names, batch.mapping).require_all()
        batch.entries, batch.policy_version = _entries(batch), batch.tenant.policy_version
        parts = store_all(
            batch, source, partial(chunks.blocked, batch), lambda: _came_further(batch), own_models.known_of(batch)
        )
    headings = match(SCHEMAS[batch.schema], source.names, batch.mapping)
    headings.require_all()
    with transaction.atomic():
        Chunk.objects.bulk_create(_chunks(batch, parts))
        Batch.objects.filter(pk=batch.pk, state=State.QUEUED).update(
            state=State.RUNNING,
            headings=msgspec.to_builtins(headings),
            rows_total=sum(parts),
            entries=batch.entries,
            policy_version=batch.policy_version,
            touched_at=timezone.now(),
        )


def _came_further(batch: Batch) -> None:
    Batch.objects.filter(pk=batch.pk).update(touched_at=timezone.now())


def _chunks(batch: Batch, parts: list[int]) -> Iterator[Chunk]:
    first = 0
    for number, rows in enumerate(parts):
        yield Chunk(id=chunk_id(batch.pk, number), batch=batch, number=number, part=number, rows=rows, first_row=first)
        first += rows


def _entries(batch: Batch) -> list[str]:
    """The models that score it, "<model>/<version>" each. Raises `UnreadableFile` when one is no longer there."""
    root = settings.ARTIFACTS_DIR
    if batch.model == ENSEMBLE:
        return list(active(root, batch.schema))
    try:
        return [shelf.find(root, batch.schema, batch.model or None)]
    except ModelRefused as refusal:
        raise UnreadableFile(refusal.reason) from refusal
