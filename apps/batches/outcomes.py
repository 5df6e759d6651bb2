"""What is kept of a chunk's results: a table of its rows as they came and as they were decided, and its problems."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import msgspec
import pyarrow as pa
from msgspec import Meta

from apps.batches import storage
from apps.batches.headings import Headings
from apps.batches.models import Batch, Chunk
from apps.batches.parts import Part
from apps.batches.reading import Chunk as Rows
from apps.batches.reading import RowProblem as Found
from apps.batches.results import ANSWERED, answer_names, kept_columns, part_of, reasons_in_words, result_of
from apps.scoring.engine.block import BlockDecisions
from apps.scoring.engine.transaction import TransactionSchema
from apps.scoring.serving.decision_formats import Decision

QUOTA_EXCEEDED = "quota_exceeded"
#: What helps against a problem, by its kind.
FIXES: Mapping[str, str] = {
    "row_malformed": "Give the row as many values as the header has, and put values that hold a separator in quotes.",
    "field_missing": "Fill the cell in, or have another column read as this field.",
    "field_invalid": "Write the value as the field takes it, or have another column read as this field.",
}


class ToldProblem(msgspec.Struct, frozen=True):
    """What is wrong with a row."""

    row: Annotated[int, Meta(description="From 1, without the header.")]
    column: Annotated[str, Meta(description='As the file calls it; "" for the whole row.')]
    problem: Annotated[str, Meta(description="Its kind: row_malformed, field_missing or field_invalid.")]
    detail: str


def problems_of(found: Sequence[Found], first: int, end: int) -> list[ToldProblem]:
    """Problems of the rows [first, end) of the file, counted from 0."""
    return [ToldProblem(one.row, one.column, one.kind, one.problem) for one in found if first < one.row <= end]


def by_kind(problems: Sequence[ToldProblem]) -> Counter[str]:
    """Rows by the kind of their first problem."""
    first = {one.row: one.problem for one in reversed(problems)}
    return Counter(first.values())


def table_of(part: Part, decided: BlockDecisions, offset: int, count: int, before: Mapping[int, Decision]) -> pa.Table:
    """The results of `count` rows of a part from `offset` on; those of `before` (by place in the block) as they were
    decided then."""
    table = result_of(part.rows, decided, part.headings)
    return _as_then(table, part, before).slice(offset, count)


def _as_then(table: pa.Table, part: Part, before: Mapping[int, Decision]) -> pa.Table:
    """The table with what duplicates were told when they were decided."""
    if not before:
        return table
    own = table.num_columns - len(ANSWERED)
    for place, (name, kind) in enumerate(ANSWERED[:-1]):
        values = table.column(own + place).to_pylist()
        for row, decision in before.items():
            said = getattr(decision, name)
            values[part.rows.places[row]] = reasons_in_words(said) if name == "reasons" else said
        table = table.set_column(own + place, table.field(own + place), pa.array(values, kind))
    return table


def unpaid(rows: Rows, schema: TransactionSchema, headings: Headings, offset: int, count: int) -> pa.Table:
    """Rows beyond quota or spend cap, as they came."""
    kept = kept_columns(rows, schema, headings)
    nothing = [pa.nulls(len(rows), kind) for _, kind in ANSWERED[:-1]]
    columns = [*kept, *nothing, pa.repeat(QUOTA_EXCEEDED, len(rows))]
    return pa.table(columns, names=[*rows.names, *answer_names(rows.names)]).slice(offset, count)


def write(batch: Batch, chunk: Chunk, table: pa.Table, problems: Sequence[ToldProblem]) -> None:
    """Write a chunk's results and problems, in place of those of a try before. Raises `OSError`."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table.combine_chunks())
    storage.write(place(batch, chunk, "rows"), sink.getvalue().to_pybytes())
    names = [one["column"] for one in batch.headings["columns"]]
    storage.write(place(batch, chunk, "csv"), part_of("csv", table, names))
    if problems:
        lines = b"".join(msgspec.json.encode(one) + b"\n" for one in problems)
        storage.write(place(batch, chunk, "problems"), lines)


def read(batch: Batch, chunk: Chunk) -> pa.Table:
    """A chunk's results."""
    with pa.ipc.open_stream(storage.read(place(batch, chunk, "rows"))) as reader:
        return reader.read_all()


def read_problems(batch: Batch, chunk: Chunk) -> Iterator[ToldProblem]:
    """A chunk's problems, in the order of its rows."""
    if chunk.problems:
        yield from map(_problem, storage.read(place(batch, chunk, "problems")).splitlines())


_problem = msgspec.json.Decoder(ToldProblem).decode


def place(batch: Batch, chunk: Chunk, kind: str) -> str:
    return storage.place(batch, f"rows/{chunk.number:05d}.{kind}")
