"""Results of a file: its columns as they were, in their order, then what was decided of each row. Pure.

`result_of` makes a chunk's results as one table and `part_of` renders it, whoever scores it; `Writer` puts parts
together into CSV, JSON Lines or Parquet. Card numbers in the file's own columns are masked, as at every door.
"""

import csv
import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from apps import card_numbers
from apps.batches.bytes_in import NOT_TEXT
from apps.batches.cells import MAY_HOLD_CARD
from apps.batches.headings import Headings
from apps.batches.reading import LINE, Chunk, Format, json_object
from apps.batches.rows import Rows
from apps.scoring.engine.block import ACTIONS, LEVELS, BlockDecisions
from apps.scoring.engine.explain import Reason
from apps.scoring.engine.transaction import TransactionSchema

#: What is written behind the file's own columns.
ANSWERED = (
    ("fraud_probability", pa.float64()),
    ("risk_score", pa.int16()),
    ("risk_level", pa.string()),
    ("recommended_action", pa.string()),
    ("reasons", pa.string()),
    ("problem", pa.string()),
)
MEDIA_TYPES: Mapping[str, str] = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
}
OURS = "palisade_"  # before the names of a file that has columns of these names already
NUMBER = "row"  # before a row's own columns where some rows are told
SPECIAL = r'[",\r\n]'  # what must stand in quotes
BETWEEN = " | "  # reasons and problems of a row
JSON = b"json"  # metadata of a column whose texts are JSON
REPLACEMENT = "\ufffd"


def answer_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names of what is written behind a file's columns."""
    taken = any(name in names for name, _ in ANSWERED)
    return tuple(OURS + name if taken else name for name, _ in ANSWERED)


def result_of(
    rows: Rows, decided: BlockDecisions, headings: Headings, further: Mapping[int, str] | None = None
) -> pa.Table:
    """A chunk's results. `further` are problems of rows of the block that were not to be scored, by their places in it:
    they are written instead of what was decided."""
    kept = kept_columns(rows.chunk, decided.block.schema, headings)
    answered = _answered(rows, decided, further or {})
    names = [*rows.chunk.names, *answer_names(rows.chunk.names)]
    marked = {JSON: b"1"} if rows.chunk.format == "jsonl" else None
    fields = [
        pa.field(name, column.type, metadata=marked if place < len(kept) else None)
        for place, (name, column) in enumerate(zip(names, [*kept, *answered], strict=True))
    ]
    return pa.Table.from_arrays([*kept, *answered], schema=pa.schema(fields))


def part_of(format: Format, table: pa.Table, names: Sequence[str]) -> bytes:
    """One chunk's results, ready for `Writer.add`; `names` are all columns of the file, of which a chunk of JSON Lines
    may lack the last."""
    return PARTS[format](_filled(table, names))


class Writer:
    """Writes a results file out of parts, in the order of the chunks; a context."""

    def __init__(self, format: Format, path: Path, names: Sequence[str]) -> None:
        self._format, self._file = format, path.open("wb")
        self._parquet: pyarrow.parquet.ParquetWriter | None = None
        if format == "csv":
            self._file.write(header_of(names))

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *failure: object) -> None:
        if self._parquet is not None:
            self._parquet.close()
        self._file.close()

    def add(self, part: Path) -> None:
        """Take a part out of its file, which is removed."""
        with part.open("rb") as file:
            if self._format == "parquet":
                self._add_table(pa.ipc.open_stream(file).read_all())
            else:
                shutil.copyfileobj(file, self._file, 1 << 20)
        part.unlink()

    def _add_table(self, table: pa.Table) -> None:
        if self._parquet is None:
            self._parquet = pyarrow.parquet.ParquetWriter(self._file, table.schema)
        self._parquet.write_table(table.cast(self._parquet.schema))


def csv_of(table: pa.Table) -> bytes:
    """Lines of CSV; only what must stands in quotes."""
    columns = [_cells(field, column) for field, column in zip(table.schema, table.columns, strict=True)]
    lines = pc.binary_join_element_wise(pc.binary_join_element_wise(*columns, ","), "", "\n").combine_chunks()
    return b"".join([_bytes_of(chunk) for chunk in getattr(lines, "chunks", [lines])])


def _cells(field: pa.Field, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column's cells as they stand in a CSV file."""
    if _is_json(field):
        column = pa.chunked_array([_without_json(column)])
    if not pa.types.is_string(column.type):
        return column.cast(pa.string()).fill_null("")
    column = column.fill_null("")
    special = pc.match_substring_regex(column, SPECIAL)
    if not pc.any(special).as_py():
        return column
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(column, '"', '""'), '"', "")
    return pc.if_else(special, quoted, column)


def _bytes_of(lines: pa.Array) -> bytes:
    _, offsets, letters = lines.buffers()
    if letters is None:
        return b""
    places = np.frombuffer(offsets, dtype=np.int32)
    return bytes(memoryview(letters)[places[lines.offset] : places[lines.offset + len(lines)]])


# --- the file's own columns ---


def kept_columns(chunk: Chunk, schema: TransactionSchema, headings: Headings) -> list[pa.Array]:
    """A chunk's own columns as they may be stored: no card number, nothing that is no text. Of JSON Lines each value is
    the text of its JSON."""
    if chunk.format == "jsonl":
        return _members(chunk)
    ids = {place for name, place in headings.fields.items() if name in schema.ids}
    return [
        masked(chunk.cells.column(place), card_numbers.mask_id if place in ids else card_numbers.mask)
        for place in range(len(chunk.names))
    ]


def masked(column: pa.Array, mask: Callable[[str], str]) -> pa.Array:
    """A column with card numbers masked; those cells alone are looked at that may hold one."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return _masked_numbers(column)
    if not pa.types.is_string(column.type):
        return column.cast(pa.string()) if _is_text(column.type) else column
    if (pc.max(pc.binary_length(column)).as_py() or 0) < card_numbers.SHORTEST:
        return _replaced(column, pc.match_substring(column, NOT_TEXT), lambda text: text.replace(NOT_TEXT, REPLACEMENT))
    return _replaced(
        column,
        pc.match_substring_regex(column, MAY_HOLD_CARD),
        lambda text: mask(text.replace(NOT_TEXT, REPLACEMENT)),
    )


def _replaced(column: pa.Array, where: pa.Array, change: Callable[[str], str]) -> pa.Array:
    rows = np.asarray(where.fill_null(False)).nonzero()[0]
    if not len(rows):
        return column
    cells = column.to_pylist()
    for row in rows.tolist():
        cells[row] = change(cells[row])
    return pa.array(cells, pa.string())


def _masked_numbers(column: pa.Array) -> pa.Array:
    """A column of numbers without those that are a card's: asterisks are no number."""
    largest = pc.max(column).as_py()
    if largest is None or not largest >= 10 ** (card_numbers.SHORTEST - 1):
        return column
    cells = [None if one is None else card_numbers.mask_number(one) for one in column.to_pylist()]
    return pa.array([None if isinstance(one, str) else one for one in cells], column.type)


def _members(chunk: Chunk) -> list[pa.Array]:
    rows = [json_object(line) or {} for line in chunk.cells.column(LINE).to_pylist()]
    return [pa.array([_json(row[name]) if name in row else None for row in rows], pa.string()) for name in chunk.names]


def _json(value: Any) -> str:
    return msgspec.json.encode(card_numbers.mask_json(value)).decode()


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


# --- what was decided ---


def _answered(rows: Rows, decided: BlockDecisions, further: Mapping[int, str]) -> list[pa.Array]:
    """The columns of `ANSWERED` for every row of the chunk: nulls where nothing was decided."""
    scored = np.ones(len(decided), dtype=bool)
    scored[list(further)] = False
    places = rows.places[scored]
    verdicts = decided.verdicts
    found = (
        decided.probability,
        decided.risk_score,
        np.array(LEVELS, dtype=object)[verdicts.level],
        np.array(ACTIONS, dtype=object)[verdicts.action],
    )
    columns = [
        _spread(None if values is None else values[scored], places, len(rows.chunk), kind)
        for values, (_, kind) in zip(found, ANSWERED, strict=False)
    ]
    reasons = {int(rows.places[row]): reasons_in_words(why) for row, why in decided.reasons.items() if scored[row]}
    return [*columns, _sparse(reasons, len(rows.chunk)), _sparse(_problems(rows, further), len(rows.chunk))]


def _spread(values: np.ndarray | None, places: np.ndarray, count: int, kind: pa.DataType) -> pa.Array:
    """Values at their places among so many rows, null elsewhere."""
    if values is None:
        return pa.nulls(count, kind)
    if len(places) == count:
        return pa.array(values, kind)
    whole = np.zeros(count, dtype=values.dtype)
    nothing = np.ones(count, dtype=bool)
    whole[places], nothing[places] = values, False
    return pa.array(whole, kind, mask=nothing)


def _sparse(found: Mapping[int, str], count: int) -> pa.Array:
    return pa.array([found.get(row) for row in range(count)], pa.string()) if found else pa.nulls(count, pa.string())


def _problems(rows: Rows, further: Mapping[int, str]) -> dict[int, str]:
    """Each row's problems in one text."""
    found: dict[int, str] = {}
    for problem in rows.problems:
        place = problem.row - rows.chunk.first - 1
        found[place] = BETWEEN.join(filter(None, (found.get(place), problem.problem)))
    return found | {int(rows.places[row]): said for row, said in further.items()}


def reasons_in_words(reasons: Sequence[Reason]) -> str:
    """A row's reasons as one text: each with its code."""
    return BETWEEN.join(f"{one.code}: {one.text}" for one in reasons)


# --- writing ---


def json_lines_of(table: pa.Table) -> bytes:
    """Lines of JSON; what the file's own lines did not have, ours have not either."""
    columns = [_as_json(field, column) for field, column in zip(table.schema, table.columns, strict=True)]
    lines = []
    for row in zip(*columns, strict=True):
        told = {name: value for name, value in zip(table.column_names, row, strict=True) if value is not NOT_SENT}
        lines.append(encode_line(told) + b"\n")
    return b"".join(lines)


def stream_of(table: pa.Table) -> bytes:
    """A table as Arrow's stream, of which Parquet is made."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


PARTS: Mapping[Format, Callable[[pa.Table], bytes]] = {
    "csv": csv_of,
    "jsonl": json_lines_of,
    "parquet": stream_of,
}


def _as_json(field: pa.Field, column: pa.ChunkedArray) -> list[Any]:
    """A column's values as JSON has them; `NOT_SENT` where the line did not have the member."""
    if not _is_json(field):
        return column.to_pylist()
    return [NOT_SENT if one is None else msgspec.Raw(one.encode()) for one in column.to_pylist()]


encode_line = msgspec.json.Encoder(enc_hook=str).encode
NOT_SENT = object()


def _filled(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """A table with all of a file's columns, nulls in those it lacks; the last are ours, whatever they are called."""
    own, ours = table.columns[: -len(ANSWERED)], table.columns[-len(ANSWERED) :]
    missing = pa.nulls(len(table), pa.string())
    columns = [*own, *[missing] * (len(names) - len(own)), *ours]
    metadata = [table.schema.field(place).metadata for place in range(len(own))]
    fields = [
        pa.field(name, column.type, metadata=metadata[place] if place < len(own) else None)
        for place, (name, column) in enumerate(zip([*names, *answer_names(names)], columns, strict=True))
    ]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def numbered_lines(table: pa.Table, names: Sequence[str], numbers: Sequence[int]) -> bytes:
    """Lines of CSV as in the results, each behind its row's number."""
    return csv_of(_filled(table, names).add_column(0, NUMBER, pa.array(numbers, pa.int64())))


def numbered_header(names: Sequence[str]) -> bytes:
    """The line above them."""
    return f"{OURS + NUMBER if NUMBER in names else NUMBER},".encode() + header_of(names)


def header_of(names: Sequence[str]) -> bytes:
    """The first line of a CSV of results."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([*names, *answer_names(names)])
    return text.getvalue().encode()


def _is_json(field: pa.Field) -> bool:
    return JSON in (field.metadata or {})


def _without_json(column: pa.ChunkedArray) -> pa.Array:
    """Values of JSON as a cell has them: texts without quotes, all others as they are."""
    found = [None if one is None else json.loads(one) if one.startswith('"') else one for one in column.to_pylist()]
    return pa.array(found, pa.string())
