"""Parts of a batch's file in its storage: the rows as they came and their parties' pasts, read again for scoring."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from apps.batches import history, storage
from apps.batches.aggregate_history import AggregateHistory
from apps.batches.headings import Headings, match
from apps.batches.history import FileHistory
from apps.batches.lean_arrow import give_back
from apps.batches.models import Batch
from apps.batches.own_history import Known, OwnHistory
from apps.batches.reading import CHUNK_ROWS, Chunk, Source
from apps.batches.rows import Rows, read_rows
from apps.batches.seeds import aggregates_of, naming, seeds_of
from apps.scoring.engine.aggregate_plan import plan_of
from apps.scoring.engine.block import Block
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.policies import get_policies


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the file, read: its rows, and of those that can be scored each role's past."""

    rows: Rows
    headings: Headings
    pasts: Sequence[Any]
    own: np.ndarray | None = None  # what the tenant's own models know of each row's parties
    aggregates: np.ndarray | None = None  # what the tenant's aggregates come to


def headings_of(batch: Batch, names: Sequence[str]) -> Headings:
    """How columns of these names are read. Raises `UnreadableFile`."""
    return match(SCHEMAS[batch.schema], names, {name: to for name, to in batch.mapping.items() if name in names})


def read(batch: Batch, chunk: Chunk) -> tuple[Rows, Headings]:
    """A part's rows, as a single call would read them."""
    headings = headings_of(batch, chunk.names)
    return read_rows(chunk, SCHEMAS[batch.schema], headings, int(batch.created_at.timestamp() * 1000)), headings


#: Which rows of a block are blocked, with these pasts, what own models know and what aggregates come to: bool[rows].
Blocked = Callable[[Block, Sequence[Any], np.ndarray | None, np.ndarray | None], np.ndarray]


def store_all(
    batch: Batch, source: Source, blocked: Blocked, came_further: Callable[[], None], known: Known | None = None
) -> list[int]:
    """Store a file's parts and their pasts, which follow event time over the whole file; how many rows each part has.

    `known`: what the live store knows for the tenant's own models, where it has any. Raises `UnreadableFile`,
    `OSError`.
    """

    def blocked_in(number: int) -> np.ndarray:
        came_further()
        rows, _ = read(batch, chunk_of(batch, number))
        return blocked(
            rows.block, past.pasts(number, len(rows.block)), own.numbers(number) if own else None,
            counted.values(number) if counted else None,
        )  # fmt: skip

    counts: list[int] = []
    with tempfile.TemporaryDirectory(dir=storage.scratch(), prefix="history-") as folder:
        policy = get_policies().get(batch.tenant.schema_name, batch.policy_version)
        asked = frozenset[str]().union(*(rule.names for rule in policy.rules))
        past = FileHistory(SCHEMAS[batch.schema], Path(folder), seeds_of(batch), naming(), asked)
        own = OwnHistory(batch.schema, Path(folder)) if known else None
        plan = plan_of(policy, batch.schema)
        counted = AggregateHistory(plan, Path(folder), naming()) if plan.sources else None
        logs = [one for one in (own, counted) if one is not None]
        # the next part is read while one is logged
        scored = list(history.ahead(partial(_logged, past, logs), _stored(batch, source, counts, came_further), 1))
        give_back()
        past.count()
        give_back()
        if counted is not None:
            counted.count(aggregates_of(batch), came_further)
        if own is not None and known is not None:
            own.count(known)
        history.settle(past, len(scored), blocked_in)
        for number, rows in enumerate(scored):
            storage.write(_place(batch, number, ".pasts"), history.packed(past.pasts(number, rows)))
            if own is not None:
                storage.write(_place(batch, number, ".own"), own.numbers(number).tobytes())
            if counted is not None:
                storage.write(_place(batch, number, ".aggregates"), counted.values(number).tobytes())
            came_further()
    return counts


def _stored(
    batch: Batch, source: Source, counts: list[int], came_further: Callable[[], None]
) -> Iterator[tuple[int, Block]]:
    """Store a file's parts; each with those of its rows that can be scored."""
    for number, chunk in enumerate(source.chunks(CHUNK_ROWS)):
        storage.write(_place(batch, number), chunk.to_bytes())
        rows, _ = read(batch, chunk)
        counts.append(len(chunk))
        came_further()
        yield number, rows.block


def _logged(past: FileHistory, logs: Sequence[OwnHistory | AggregateHistory], part: tuple[int, Block]) -> int:
    """Log a part's rows; how many these are."""
    number, block = part
    past.add(number, block)
    for log in logs:
        log.add(block)
    return len(block)


def chunk_of(batch: Batch, number: int) -> Chunk:
    """A stored part as it came."""
    return Chunk.from_bytes(storage.read(_place(batch, number)))


def part_of(batch: Batch, number: int, with_own: bool = False, with_aggregates: bool = False) -> Part:
    """A stored part, to be scored; `with_own` with what the tenant's own models know, `with_aggregates` with what its
    aggregates come to."""
    rows, headings = read(batch, chunk_of(batch, number))
    pasts = history.unpacked(SCHEMAS[batch.schema], storage.read(_place(batch, number, ".pasts")))

    def numbers(kind: str) -> np.ndarray:
        kept = np.frombuffer(storage.read(_place(batch, number, kind)), np.float64)
        return kept.reshape(len(rows.block), -1)

    own = numbers(".own") if with_own else None
    return Part(rows, headings, pasts, own, numbers(".aggregates") if with_aggregates else None)


def _place(batch: Batch, number: int, kind: str = "") -> str:
    return storage.place(batch, f"parts/{number:05d}{kind}")
