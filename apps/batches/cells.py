"""Cells of a chunk read as a schema's fields: one row exactly, and whole columns fast. Pure.

`transaction(row)` is what a row says, as a single call would send it: the schema's own parse takes or refuses it.
`numbers` and `texts` read a whole column at once and say of which cells they are sure; the rows of all others go the
exact way. A generated test holds the two together.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from math import inf, nan
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from apps import card_numbers
from apps.batches.bytes_in import NOT_TEXT
from apps.batches.headings import Headings
from apps.batches.reading import LINE, Chunk, json_object
from apps.scoring.engine.field_types import is_kind
from apps.scoring.engine.transaction import InvalidTransaction, TransactionSchema

#: What stands in a cell that holds nothing, in any case: of texts, and of numbers, flags and times. "None" and "NA" are
#: words of texts.
NOTHING = ("", "nan", "null", "-")
NO_NUMBER = (*NOTHING, "na", "n/a", "#n/a", "none", "nil", "--")
LONGEST_NOTHING = max(map(len, NO_NUMBER))
FLAGS: Mapping[str, bool] = {
    "true": True, "t": True, "yes": True, "y": True, "1": True, "1.0": True,
    "false": False, "f": False, "no": False, "n": False, "0": False, "0.0": False,
}  # fmt: skip
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,15}", re.ASCII)
#: RE2, for whole columns: what the schema's parse takes for printable; and what may hold a card number.
_PRINTABLE = r"^[ -~]*[!-~][ -~]*$"
MAY_HOLD_CARD = r"[0-9](?:[ +\-]{0,3}[0-9]){12}|%[0-9A-Fa-f]{2}|[^ -~]"
_PLAIN_TIME = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}[T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?Z?$"
_ALMOST_A_NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"


NO_LINE = object()


class Column(NamedTuple):
    """A column read fast: float64 (nan: nothing) or objects (None: nothing), and where that is sure, bool[n]. Of texts
    `whole` says that none is nothing, and `longest` how many bytes none goes beyond."""

    values: np.ndarray
    sure: np.ndarray
    whole: bool = False
    longest: float = inf


class Cells(Protocol):
    """A chunk's cells, read as fields. `columns`: each field that is read → what the file calls its column."""

    columns: Mapping[str, str]

    def transaction(self, row: int) -> dict[str, Any]:
        """What one row says, nothing left out that was sent. Raises `InvalidTransaction` for what is no text."""

    def numbers(self, name: str) -> Column:
        """A field's numbers."""

    def texts(self, name: str) -> Column:
        """A field's texts, each printable and free of what may be a card number where it is sure."""

    def flags(self, name: str) -> Column:
        """A field's yes and no, as 1 and 0."""

    def times(self, name: str) -> Column:
        """A field's times, as ms since 1970."""


def cells_of(chunk: Chunk, schema: TransactionSchema, headings: Headings) -> Cells:
    """A chunk's cells by the match of its columns. Of JSON Lines each member that is called as a field is that field,
    though the first lines, of which the match was made, may not have had it."""
    columns = {one.field: one.column for one in headings.columns if one.field}
    if chunk.format != "jsonl":
        return TableCells(chunk, schema, headings.fields, columns)
    known = {one.column for one in headings.columns}
    own = {name: name for name in schema.fields if name not in columns and name not in known}
    return JsonCells(chunk, columns | own)


# --- CSV and Parquet ---


class TableCells:
    """Cells of a table: of a CSV all are texts, of Parquet what the column says."""

    def __init__(
        self, chunk: Chunk, schema: TransactionSchema, fields: Mapping[str, int], columns: Mapping[str, str]
    ) -> None:
        self.columns = columns
        self._cells = {name: _plain(chunk.cells.column(place)) for name, place in fields.items()}
        self._read = {name: reading_of(schema, name, chunk.decimal_comma) for name in fields}
        self._decimal_comma = chunk.decimal_comma

    def transaction(self, row: int) -> dict[str, Any]:
        found = {}
        for name, cells in self._lists.items():
            value = cells[row]
            if value is None:
                continue
            if type(value) is str and NOT_TEXT in value:
                raise InvalidTransaction(name, f"'{name}' is not UTF-8: save the file with the encoding UTF-8.")
            if (read := self._read[name](value)) is not None:
                found[name] = read
        return found

    @cached_property
    def _lists(self) -> dict[str, list[Any]]:
        """The cells as Python's values: one by one they would take ten times as long."""
        return {name: column.to_pylist() for name, column in self._cells.items()}

    def numbers(self, name: str) -> Column:
        column = self._cells[name]
        if pa.types.is_string(column.type):
            return _numbers_of_texts(column, self._decimal_comma)
        if not _is_number(column.type):
            return _unsure(column, nan)
        values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return Column(values, np.isfinite(values) | np.asarray(column.is_null()))

    def texts(self, name: str) -> Column:
        column = self._cells[name]
        return _texts_of(column) if pa.types.is_string(column.type) else _unsure(column, None)

    def flags(self, name: str) -> Column:
        column = self._cells[name]
        if pa.types.is_boolean(column.type):
            values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
            return Column(values, np.ones(len(column), dtype=bool))
        return _flags_of(column) if pa.types.is_string(column.type) else _unsure(column, nan)

    def times(self, name: str) -> Column:
        column = self._cells[name]
        if pa.types.is_timestamp(column.type):
            return Column(_milliseconds(column), np.ones(len(column), dtype=bool))
        return _times_of(column) if pa.types.is_string(column.type) else _unsure(column, nan)


def reading_of(schema: TransactionSchema, name: str, decimal_comma: bool) -> Callable[[Any], Any]:
    """How a cell of a field is read; None is nothing. What can't be read is told by the schema's own parse."""
    kind = schema.types[name]
    if is_kind(str, kind):
        return _text
    if is_kind(datetime, kind):
        return _time
    if is_kind(bool, kind):
        return _flag
    return _number_with_comma if decimal_comma else _number


def _text(cell: Any) -> Any:
    if type(cell) is not str:
        return cell.isoformat() if isinstance(cell, datetime) else str(cell)
    return None if cell.strip().lower() in NOTHING else cell


def _time(cell: Any) -> Any:
    return (None if cell.strip().lower() in NO_NUMBER else cell.strip()) if type(cell) is str else cell


def _flag(cell: Any) -> Any:
    if type(cell) is not str:
        return bool(cell) if cell in (0, 1) else cell
    word = cell.strip().lower()
    return None if word in NO_NUMBER and word not in FLAGS else FLAGS.get(word, cell.encode())


def _number(cell: Any) -> Any:
    """A number; what is none goes on as bytes, which no field takes and which are no text in quotes."""
    if type(cell) is not str:
        return _of_parquet(cell)
    word = cell.strip()
    if _WHOLE.fullmatch(word):
        return int(word)
    if _NUMBER.fullmatch(word):
        return float(word)
    return None if word.lower() in NO_NUMBER else word.encode()


def _number_with_comma(cell: Any) -> Any:
    """12,5 is a number, and so is 12; of 1.234 nobody could say whether it is."""
    return cell.encode() if "." in cell else _number(cell.replace(",", "."))


def _of_parquet(cell: Any) -> Any:
    """Parquet's numbers; nan is nothing, as pandas writes it."""
    if isinstance(cell, bool | int):
        return cell
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return str(cell).encode()
    return None if number != number else number


def _plain(column: pa.Array) -> pa.Array:
    """A column without a dictionary and in the common kind of texts."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        return column.cast(pa.string())
    if pa.types.is_timestamp(column.type):  # of nanoseconds Python has none
        return column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return column


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)


def _unsure(column: pa.Array, nothing: float | None) -> Column:
    """Only that there is nothing is sure."""
    values = np.full(len(column), nothing, dtype=object if nothing is None else np.float64)
    return Column(values, np.asarray(column.is_null()))


def _numbers_of_texts(column: pa.Array, decimal_comma: bool) -> Column:
    """Numbers of a column of texts; cast at once when all are numbers, as nearly always."""
    sure = np.ones(len(column), dtype=bool)
    if decimal_comma:
        sure = ~np.asarray(pc.match_substring(column, ".").fill_null(False))
        column = pc.replace_substring(column, ",", ".")
    try:
        numbers = column.cast(pa.float64())
    except pa.ArrowInvalid:
        nothing = pc.is_in(pc.utf8_lower(column), pa.array(NO_NUMBER))
        number = pc.match_substring_regex(column, _ALMOST_A_NUMBER).fill_null(False)
        sure &= np.asarray(pc.or_(nothing, number))
        numbers = pc.if_else(number, column, None).cast(pa.float64())
    values = numbers.to_numpy(zero_copy_only=False)
    return Column(values, sure & ~np.isinf(values))


def _texts_of(column: pa.Array) -> Column:
    """Texts of a column: what can be told of all of them at once is, then one by one."""
    sure, letters = np.ones(len(column), dtype=bool), _letters(column)
    if ((letters <= 0x20) | (letters > 0x7E)).any():
        sure = np.asarray(pc.match_substring_regex(column, _PRINTABLE).fill_null(True))
        sure |= np.asarray(pc.equal(column, "").fill_null(True))
    lengths = pc.binary_length(column).fill_null(0)
    bounds = pc.min_max(lengths)
    if (bounds["max"].as_py() or 0) >= card_numbers.SHORTEST:
        sure &= ~np.asarray(pc.match_substring_regex(column, MAY_HOLD_CARD).fill_null(False))
    if (bounds["min"].as_py() or 0) <= LONGEST_NOTHING:
        nothing = pc.is_in(pc.utf8_lower(column), pa.array(NOTHING))
        column = pc.if_else(nothing, None, column)
    return Column(objects(column), sure, column.null_count == 0, bounds["max"].as_py() or 0)


def _flags_of(column: pa.Array) -> Column:
    """Yes and no of a column of texts: each different one is read once."""
    encoded = column.dictionary_encode()
    read = [_flag(one) for one in encoded.dictionary.to_pylist()]
    known = np.array([nan if type(one) is not bool else float(one) for one in read] + [nan])
    sure = np.array([one is None or type(one) is bool for one in read] + [True])
    places = encoded.indices.fill_null(len(read)).to_numpy(zero_copy_only=False)
    return Column(known[places], sure[places])


def _times_of(column: pa.Array) -> Column:
    """Times of a column of texts that are written plainly, in UTC."""
    plain = pc.match_substring_regex(column, _PLAIN_TIME).fill_null(False)
    nothing = pc.fill_null(pc.equal(column, ""), True)
    texts = pc.if_else(plain, pc.replace_substring_regex(column, "Z$", ""), None)
    try:
        moments = texts.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:  # a 30th of February: whose it is, the exact way finds out
        return Column(np.full(len(column), nan), np.asarray(nothing))
    return Column(_milliseconds(moments), np.asarray(pc.or_(plain, nothing)))


def _milliseconds(moments: pa.Array) -> np.ndarray:
    """Microseconds as milliseconds, in the very steps of `operations.instant`."""
    microseconds = moments.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.float64(), safe=False)
    values = microseconds.to_numpy(zero_copy_only=False)
    return values / 1e6 * 1000.0 // 1.0


def objects(column: pa.Array) -> np.ndarray:
    """A column of texts as Python's, None where there is none; each different one once where they are few."""
    begin = column.slice(0, 1_000)
    if len(column) > len(begin) and pc.count_distinct(begin).as_py() < len(begin) // 10:
        encoded = column.dictionary_encode()
        known = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
        return known[encoded.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)]
    return np.array(column.to_pylist(), dtype=object)


def _letters(column: pa.Array) -> np.ndarray:
    """All bytes of a column's texts, one after the other: uint8."""
    _, offsets, letters = column.buffers()
    if letters is None:
        return np.empty(0, dtype=np.uint8)
    places = np.frombuffer(offsets, dtype=np.int32)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(letters, dtype=np.uint8)[places[0] : places[-1]]


# --- JSON Lines ---


class JsonCells:
    """Cells of JSON Lines: one object a line."""

    def __init__(self, chunk: Chunk, columns: Mapping[str, str]) -> None:
        self.columns = columns
        self._rows = [json_object(line) for line in chunk.cells.column(LINE).to_pylist()]

    def transaction(self, row: int) -> dict[str, Any]:
        content = self._rows[row]
        if content is None:
            raise InvalidTransaction("", "The line is not a JSON object.")
        return {name: content[member] for name, member in self.columns.items() if member in content}

    def numbers(self, name: str) -> Column:
        return self._column(name, (float, int), nan)

    def texts(self, name: str) -> Column:
        found = self._column(name, (str,), None)
        texts = pa.array(
            [one if sure else None for one, sure in zip(found.values, found.sure, strict=True)], pa.string()
        )
        column = _texts_of(texts)
        return Column(found.values, found.sure & column.sure & np.array([one != "" for one in found.values.tolist()]))

    def flags(self, name: str) -> Column:
        return self._column(name, (bool,), nan)

    def times(self, name: str) -> Column:
        found = self._column(name, (str,), None)
        column = _times_of(pa.array(found.values, pa.string()))
        empty = np.array([one == "" for one in found.values.tolist()], dtype=bool)
        return Column(column.values, found.sure & column.sure & ~empty)

    def _column(self, name: str, kinds: tuple[type, ...], nothing: float | None) -> Column:
        """A member's values of these kinds, `nothing` for all others; a line that is none is never sure."""
        member = self.columns[name]
        found = [NO_LINE if row is None else row.get(member) for row in self._rows]
        sure = np.array([type(one) in kinds or one is None for one in found], dtype=bool)
        values = [one if type(one) in kinds else nothing for one in found]
        return Column(np.array(values, dtype=object if nothing is None else np.float64), sure)
