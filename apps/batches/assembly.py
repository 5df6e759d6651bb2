"""Results put together once a batch stands still: a file of each format from its chunks', in the order of the rows.

Completed: every row. Paused: rows beyond quota or spend cap with the problem `quota_exceeded`, until it is resumed.
Cancelled or failed: the rows that were scored. Harmless when repeated; the newest wins.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apps.batches import outcomes, parts, storage
from apps.batches.locks import alone_with
from apps.batches.models import Batch, Chunk
from apps.batches.reading import Format
from apps.batches.results import Writer, part_of
from apps.batches.services import failing, notify_of
from apps.scoring.engine.schemas import SCHEMAS

State = Batch.State


def assemble(batch_id: str) -> bool:
    """Put a batch's results together, if it stands still; whether that was done."""
    with alone_with(f"assemble:{batch_id}") as mine:
        batch = Batch.objects.select_related("tenant").filter(pk=batch_id, deleted_at=None).first()
        if not mine or batch is None or batch.rows_total is None or not _stands_still(batch):
            return False
        with failing(batch):
            _assemble(batch)
        return True


def _stands_still(batch: Batch) -> bool:
    if batch.state == State.RUNNING:
        return not batch.chunks.filter(done=False).exists()
    return batch.state != State.QUEUED


def _assemble(batch: Batch) -> None:
    _finish(batch, {wanted: _written(batch, wanted) for wanted in ("csv", *sorted({*batch.formats} - {"csv"}))})


def _written(batch: Batch, wanted: str) -> dict[str, Any]:
    """Write the results in a format; what the batch keeps of the file."""
    name, format = storage.place(batch, f"results.{wanted}"), cast(Format, wanted)
    names = [one["column"] for one in batch.headings["columns"]]
    with storage.being_written(name) as file, tempfile.TemporaryDirectory(dir=storage.scratch()) as folder:
        path, part = Path(file.name), Path(folder) / "part"
        with Writer(format, path, names) as writer:
            for piece in _parts(batch, format, names):
                part.write_bytes(piece)
                writer.add(part)
        with path.open("rb") as whole:
            etag = hashlib.file_digest(whole, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        return {"name": name, "bytes": path.stat().st_size, "etag": etag}


def _parts(batch: Batch, format: Format, names: Sequence[str]) -> Iterator[bytes]:
    """Each chunk's part of a results file, in the order of the file. The CSV's are there already."""
    for chunk in _chunks(batch):
        if chunk.done and format == "csv":
            yield storage.read(outcomes.place(batch, chunk, "csv"))
        else:
            yield part_of(format, _table(batch, chunk), names)


def _table(batch: Batch, chunk: Chunk) -> pa.Table:
    """A chunk's results; of one that waits for units its rows as they came."""
    if chunk.done:
        return outcomes.read(batch, chunk)
    rows = parts.chunk_of(batch, chunk.part)
    headings = parts.headings_of(batch, rows.names)
    return outcomes.unpaid(rows, SCHEMAS[batch.schema], headings, chunk.offset, chunk.rows)


def _chunks(batch: Batch) -> QuerySet[Chunk]:
    """Those that are told of, in the order of their rows."""
    chunks = Chunk.objects.filter(batch=batch).order_by("first_row")
    return chunks if batch.state in (State.PAUSED, State.RUNNING) else chunks.filter(done=True)


def _finish(batch: Batch, results: dict[str, Any]) -> None:
    now = timezone.now()
    with transaction.atomic():
        row = Batch.objects.select_for_update(of=("self",)).get(pk=batch.pk)
        if row.state != batch.state:  # resumed, cancelled meanwhile: it is done again
            return
        row.results, row.touched_at, row.assembled_at = results, now, now
        if row.state == State.RUNNING:
            row.state, row.finished_at = State.COMPLETED, now
        row.save(update_fields=["results", "touched_at", "assembled_at", "state", "finished_at"])
        kind = {State.COMPLETED: "batch.completed", State.PAUSED: "batch.paused"}.get(State(row.state))
        if kind:
            notify_of(row.pk, kind, now)
    if row.state == State.COMPLETED:
        storage.forget(row, "parts")
