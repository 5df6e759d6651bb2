"""Files of transactions as chunks of rows: CSV, JSON Lines, Parquet. Read once from end to end, never held whole. Pure.

A chunk holds the cells as they came. What a row says, `cells.py` reads; what is wrong with a row that is none at all
(too few values, too many) is noticed here.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, BinaryIO, Literal, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from apps import card_numbers
from apps.batches.bytes_in import NOT_TEXT, TextBytes, UnreadableFile, unpacked

Format = Literal["csv", "jsonl", "parquet"]
FORMATS: tuple[Format, ...] = ("csv", "jsonl", "parquet")

CHUNK_ROWS = 20_000
MOST_ROWS = 10_000_000
MOST_COLUMNS = 1_000
NAME_CUT = 80  # characters of a column's name in a sentence
LONGEST_HEADER = 1 << 20  # bytes
LONGEST_ROW = 1 << 20  # bytes
FIRST_WORDS = 200  # bytes, in which no text has a NUL
SAMPLE = 1 << 16  # bytes, of which a file's marks are found
DELIMITERS = b",;\t|"
PARQUET_MAGIC = b"PAR1"
LINE = "line"  # the one column of a chunk of JSON Lines
#: Parquet types a cell may have; anything else is no cell.
FLAT: tuple[Callable[[pa.DataType], bool], ...] = (
    pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean, pa.types.is_string,
    pa.types.is_large_string, pa.types.is_timestamp, pa.types.is_date, pa.types.is_null, pa.types.is_string_view,
)  # fmt: skip
_COMMA = re.compile(rb"^-?\d+,\d+$")
_POINT = re.compile(rb"^-?\d+\.\d+$")


#: What a row's problem is about: the row itself, a field that must be there, a field's value.
Kind = Literal["row_malformed", "field_missing", "field_invalid"]


class RowProblem(NamedTuple):
    """What is wrong with one row of a file: counted from 1, without the header and blank lines; `column` as the file
    calls it, "" for the whole row."""

    row: int
    column: str
    problem: str
    kind: Kind = "field_invalid"


@dataclass(frozen=True, eq=False)
class Chunk:
    """Rows of a file as they came.

    `cells` has a column for each of `names` (of JSON Lines one, with the lines). `first` is how many rows are before
    it. `wrong` are rows that could not be taken apart, by their place: their cells are what could be saved.
    """

    format: Format
    first: int
    names: tuple[str, ...]
    cells: pa.RecordBatch
    wrong: Mapping[int, str] = field(default_factory=dict)
    decimal_comma: bool = False

    def __len__(self) -> int:
        return self.cells.num_rows

    def to_bytes(self) -> bytes:
        """The chunk for a store, to be read by whoever scores it."""
        said = {
            "format": self.format, "first": self.first, "names": self.names, "decimal_comma": self.decimal_comma,
            "wrong": {str(row): problem for row, problem in self.wrong.items()},
        }  # fmt: skip
        schema = self.cells.schema.with_metadata({"chunk": json.dumps(said)})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
            writer.write_batch(self.cells)
        return sink.getvalue().to_pybytes()

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Chunk":
        """A chunk that was stored."""
        with pa.ipc.open_stream(stored) as reader:
            said = json.loads(reader.schema.metadata[b"chunk"])
            cells = reader.read_next_batch()
        wrong = {int(row): problem for row, problem in said["wrong"].items()}
        return cls(said["format"], said["first"], tuple(said["names"]), cells, wrong, said["decimal_comma"])


@dataclass(eq=False)
class Source:
    """A file that is open for reading. `names` are its columns, in order: of JSON Lines those of the rows read so
    far."""

    format: Format
    names: tuple[str, ...]
    chunks: Callable[[int], Iterator[Chunk]]
    """`chunks(rows)`: the file in chunks of so many rows. Raises `UnreadableFile`, also after the first ones."""


def open_source(file: BinaryIO, format: Format | None = None) -> Source:
    """Open a file for reading. Without a format it is found by how the file begins.

    Parquet must be seekable and unpacked, as it packs itself. Raises `UnreadableFile`.
    """
    if file.seekable() and _begins_as_parquet(file):
        return _parquet(file)
    if format == "parquet":
        raise UnreadableFile("The file is no Parquet: such a file begins and ends with PAR1, and packs itself.")
    text = TextBytes(unpacked(file))
    beginning = text.begin(SAMPLE)
    if not beginning.strip():
        raise UnreadableFile("The file is empty.")
    if beginning.startswith(PARQUET_MAGIC):
        raise UnreadableFile("The Parquet file is packed once more: send it as it is, it packs itself.")
    if b"\0" in beginning[:FIRST_WORDS]:
        raise UnreadableFile("The file is no text: send CSV, JSON Lines or Parquet.")
    if (format or ("jsonl" if beginning.lstrip().startswith(b"{") else "csv")) == "jsonl":
        return _json_lines(text)
    return _csv(text)


# --- CSV ---


class _Ragged:
    """Rows of a CSV file with too few values or too many, as the parser meets them."""

    def __init__(self) -> None:
        self.met: list[pa.csv.InvalidRow] = []

    def __call__(self, row: pa.csv.InvalidRow) -> str:
        self.met.append(row)
        return "skip"


def _csv(text: TextBytes) -> Source:
    header, length = _header_of(text)
    delimiter = max(DELIMITERS, key=lambda one: _outside_quotes(header).count(one))
    text.skip(length)
    names = _names(next(csv.reader(io.StringIO(header.decode()), delimiter=chr(delimiter))))
    comma = delimiter != ord(",") and _has_decimal_commas(text.begin(SAMPLE), bytes([delimiter]))

    def chunks(rows: int) -> Iterator[Chunk]:
        ragged = _Ragged()
        batches = _with_ragged(
            _csv_batches(text, len(names), chr(delimiter), ragged), ragged, len(names), chr(delimiter)
        )
        first = 0
        for cells, wrong in _of_size(batches, rows):
            yield Chunk("csv", first, names, cells, wrong, comma)
            first = _counted(first, cells.num_rows)
        if not first:
            raise UnreadableFile("The file has a header and no rows.")

    return Source("csv", names, chunks)


def _header_of(text: TextBytes) -> tuple[bytes, int]:
    """The first line that is not blank, and how many bytes there are up to its end."""
    beginning = text.begin(LONGEST_HEADER)
    blank = len(beginning) - len(beginning.lstrip(b"\r\n"))
    end = next((end for end in _line_ends(beginning, blank) if beginning.count(b'"', blank, end) % 2 == 0), None)
    if end is None and len(beginning) == LONGEST_HEADER:
        raise UnreadableFile("The header's line is longer than 1 MB, or a quote in it is never closed.")
    if NOT_TEXT.encode() in beginning[blank:end]:
        raise UnreadableFile("The header is not UTF-8: save the file with the encoding UTF-8.")
    return beginning[blank:end].rstrip(b"\r\n"), len(beginning) if end is None else end


def _line_ends(text: bytes, start: int) -> Iterator[int]:
    for found in re.finditer(rb"\r\n|\n|\r", text[start:]):
        yield start + found.end()


def _outside_quotes(header: bytes) -> bytes:
    return re.sub(rb'"[^"]*"', b"", header)


def _names(found: Sequence[str]) -> tuple[str, ...]:
    """A header's names; one that has none is called by its place. Raises `UnreadableFile` for one that is there
    twice."""
    if len(found) > MOST_COLUMNS:
        raise UnreadableFile(f"The file has {len(found):,} columns; {MOST_COLUMNS:,} are the most.")
    named = [card_numbers.mask(name.strip()) or f"column {place}" for place, name in enumerate(found, start=1)]
    if len(set(named)) < len(named):
        twice = next(name for name, count in Counter(named).items() if count > 1)
        raise UnreadableFile(f"The column '{twice[:NAME_CUT]}' is there twice: give each a name of its own.")
    return tuple(named)


def _has_decimal_commas(sample: bytes, delimiter: bytes) -> bool:
    """Whether numbers are written 12,5: told by the first rows' cells, of which more have a comma than a point."""
    cells = [cell.strip(b'" ') for line in sample.splitlines()[:-1] for cell in line.split(delimiter)]
    return sum(map(bool, map(_COMMA.match, cells))) > sum(map(bool, map(_POINT.match, cells)))


def _csv_batches(text: TextBytes, columns: int, delimiter: str, ragged: _Ragged) -> Iterator[pa.RecordBatch]:
    names = [str(place) for place in range(columns)]
    try:
        reader = pyarrow.csv.open_csv(
            text,
            read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=LONGEST_ROW, column_names=names),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=ragged
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), check_utf8=False, strings_can_be_null=False
            ),
        )
        yield from reader
    except pa.ArrowInvalid as refusal:
        if "Empty CSV" in str(refusal):
            return
        raise UnreadableFile(
            f"A row is longer than {LONGEST_ROW >> 20} MB, or a quote is never closed: {str(refusal)[:200]}."
        ) from refusal


def _with_ragged(
    batches: Iterator[pa.RecordBatch], ragged: _Ragged, columns: int, delimiter: str
) -> Iterator[tuple[pa.RecordBatch, dict[int, str]]]:
    """Batches with the rows in their places that the parser left out, and what is wrong with these."""
    at = 0  # rows before
    for batch in batches:
        batch, wrong = _rejoined(batch, ragged, at, columns, delimiter)
        at += batch.num_rows
        yield batch, wrong
    if ragged.met:
        nothing = pa.RecordBatch.from_arrays([pa.array([], pa.string())] * columns, [str(n) for n in range(columns)])
        yield _rejoined(nothing, ragged, at, columns, delimiter)


def _rejoined(
    batch: pa.RecordBatch, ragged: _Ragged, at: int, columns: int, delimiter: str
) -> tuple[pa.RecordBatch, dict[int, str]]:
    """A batch whose first row is row `at` of the file, with the rows left out of it."""
    mine: list[pyarrow.csv.InvalidRow] = []
    while ragged.met and ragged.met[0].number - 1 - len(mine) - at <= batch.num_rows:
        mine.append(ragged.met.pop(0))
    if not mine:
        return batch, {}
    pieces, wrong, taken = [], {}, 0
    for done, row in enumerate(mine):
        place = row.number - 1 - at
        pieces += [batch.slice(taken, place - done - taken), _saved(row, batch.schema, columns, delimiter)]
        taken = place - done
        wrong[place] = (
            f"The row has {row.actual_columns} values; the header has {row.expected_columns}. Put values with "
            "a delimiter in them in quotes."
        )
    return _joined([*pieces, batch.slice(taken)]), wrong


def _saved(row: pa.csv.InvalidRow, schema: pa.Schema, columns: int, delimiter: str) -> pa.RecordBatch:
    """A row that does not fit as far as it does: what is missing is empty, what is too much is left out."""
    values = next(csv.reader(io.StringIO(row.text), delimiter=delimiter), [])[:columns]
    values += [""] * (columns - len(values))
    return pa.RecordBatch.from_arrays([pa.array([value], pa.string()) for value in values], schema=schema)


# --- JSON Lines ---


def _json_lines(text: TextBytes) -> Source:
    source = Source("jsonl", (), lambda rows: iter(()))

    def chunks(rows: int) -> Iterator[Chunk]:
        first, seen = 0, dict.fromkeys(source.names)
        for lines in _grouped(_lines(text), rows):
            seen.update(dict.fromkeys(_members(lines)))
            source.names = _names(list(seen))
            cells = pa.RecordBatch.from_arrays([pa.array(lines, pa.binary())], [LINE])
            yield Chunk("jsonl", first, source.names, cells)
            first = _counted(first, len(lines))

    source.names = _names(list(dict.fromkeys(_members(text.begin(SAMPLE).splitlines()[:100]))))
    source.chunks = chunks
    return source


def _members(lines: Sequence[bytes]) -> Iterator[str]:
    """The names of all members of these lines' objects."""
    for line in lines:
        yield from json_object(line) or ()


def json_object(line: bytes) -> dict[str, Any] | None:
    """The object a line is; None when it is none."""
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None


def _lines(text: TextBytes) -> Iterator[bytes]:
    """Lines that are not blank. Raises `UnreadableFile` for one that is too long."""
    rest = b""
    while block := text.read(LONGEST_ROW):
        *whole, rest = (rest + block).split(b"\n")
        yield from (line for line in whole if line.strip())
        if len(rest) > LONGEST_ROW:
            raise UnreadableFile(f"A line is longer than {LONGEST_ROW >> 20} MB.")
    if rest.strip():
        yield rest


def _grouped(lines: Iterator[bytes], rows: int) -> Iterator[list[bytes]]:
    while group := list(islice(lines, rows)):
        yield group


# --- Parquet ---


def _begins_as_parquet(file: BinaryIO) -> bool:
    begins = file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
    file.seek(0)
    return begins


def _parquet(file: BinaryIO) -> Source:
    try:
        opened = pyarrow.parquet.ParquetFile(file)
    except (pa.ArrowException, OSError) as refusal:
        raise UnreadableFile("The Parquet file is damaged or ends too early: send it again.") from refusal
    names = _names(opened.schema_arrow.names)
    for name, kind in zip(names, opened.schema_arrow.types, strict=True):
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not any(is_flat(inner) for is_flat in FLAT):
            raise UnreadableFile(
                f"The column '{name[:NAME_CUT]}' is of type {str(kind)[:NAME_CUT]}: a cell must hold one value."
            )
    if not opened.metadata.num_rows:
        raise UnreadableFile("The file has columns and no rows.")

    def chunks(rows: int) -> Iterator[Chunk]:
        first = 0
        try:
            for cells, wrong in _of_size(((batch, {}) for batch in opened.iter_batches(rows)), rows):
                yield Chunk("parquet", first, names, cells.rename_columns([str(n) for n in range(len(names))]), wrong)
                first = _counted(first, cells.num_rows)
        except (pa.ArrowException, OSError) as refusal:
            raise UnreadableFile("The Parquet file is damaged: send it again.") from refusal

    return Source("parquet", names, chunks)


# --- all of them ---


def _of_size(
    batches: Iterator[tuple[pa.RecordBatch, dict[int, str]]], rows: int
) -> Iterator[tuple[pa.RecordBatch, dict[int, str]]]:
    """The same rows in batches of so many."""
    held: list[pa.RecordBatch] = []
    wrong: dict[int, str] = {}
    count = 0
    for batch, found in batches:
        wrong |= {count + row: problem for row, problem in found.items()}
        held, count = [*held, batch], count + batch.num_rows
        while count >= rows:
            whole = _joined(held)
            yield whole.slice(0, rows), {row: problem for row, problem in wrong.items() if row < rows}
            held, count = [whole.slice(rows)], count - rows
            wrong = {row - rows: problem for row, problem in wrong.items() if row >= rows}
    if count:
        yield _joined(held), wrong


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def _counted(first: int, rows: int) -> int:
    if first + rows > MOST_ROWS:
        raise UnreadableFile(f"The file has more than {MOST_ROWS:,} rows: send it in parts.")
    return first + rows
