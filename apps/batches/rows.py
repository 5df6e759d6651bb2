"""Rows of a chunk: those that can be scored as a block for the engine, and what is wrong with the others. Pure.

Whole columns are read at once; a row whose cells are not all plain goes through the schema's own parse, so that it is
taken or refused as the single call would, in the same words.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from math import inf
from typing import Any

import numpy as np

from apps.batches.cells import Column, cells_of
from apps.batches.headings import Headings
from apps.batches.reading import Chunk, Kind, RowProblem
from apps.scoring.engine.block import Block
from apps.scoring.engine.field_types import is_kind, metas
from apps.scoring.engine.operations import BLOCK
from apps.scoring.engine.transaction import InvalidTransaction, Parsed, TransactionSchema
from apps.scoring.engine.values import Columns

MOST_TOLD = 5  # problems of one row
MAY_BE_CARD = 1e12  # numbers from it on are looked at one by one


@dataclass(frozen=True, eq=False)
class Rows:
    """A chunk's rows, read. `block` holds those that can be scored, `places` says which of the chunk's they are
    (int64[len(block)]); `problems` says what is wrong with the others."""

    chunk: Chunk
    block: Block
    places: np.ndarray
    problems: Sequence[RowProblem]


def read_rows(chunk: Chunk, schema: TransactionSchema, headings: Headings, received_ms: int) -> Rows:
    """Read a chunk's rows; `received_ms` is when the file came, for rows that don't say their own time."""
    return _Reader(chunk, schema, headings, received_ms).read()


class _Reader:
    """One chunk on its way to a block."""

    def __init__(self, chunk: Chunk, schema: TransactionSchema, headings: Headings, received_ms: int) -> None:
        self.chunk, self.schema, self.received_ms = chunk, schema, received_ms
        self.cells = cells_of(chunk, schema, headings)
        self.problems: list[RowProblem] = []

    def read(self) -> Rows:
        """Whole columns where their cells are plain, the rest row by row."""
        good = np.ones(len(self.chunk), dtype=bool)
        good[list(self.chunk.wrong)] = False
        columns, sure = self._columns() if self.schema.untouched else ({}, np.zeros(len(self.chunk), dtype=bool))
        if self.schema.untouched:
            sure &= self.schema.untouched(Columns(columns.__getitem__))
        parsed = self._one_by_one((good & ~sure).nonzero()[0].tolist(), good)
        places = good.nonzero()[0]
        for row, problem in self.chunk.wrong.items():
            self.problems.append(RowProblem(self.chunk.first + row + 1, "", problem, "row_malformed"))
        return Rows(self.chunk, self._block(columns, parsed, good, places), places, sorted(self.problems))

    def parse(self, place: int) -> Parsed:
        """One row of the chunk as the single call reads it. Raises `InvalidTransaction`."""
        return self.schema.parse(self.cells.transaction(place), self.received_ms)

    def _columns(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Every field's column, and the rows of which all cells are plain."""
        sure = np.ones(len(self.chunk), dtype=bool)
        columns = {}
        for name in self.schema.fields:
            column = self._column(name)
            columns[name] = column.values
            sure &= column.sure
        return columns, sure

    def _column(self, name: str) -> Column:
        """A field's column; sure is what its type takes, as far as that can be told of all at once."""
        count, kind = len(self.chunk), self.schema.types[name]
        is_text, optional = is_kind(str, kind), name not in self.schema.required
        if name not in self.cells.columns:
            nothing = np.full(count, None, dtype=object) if is_text else np.full(count, np.nan)
            return Column(nothing, np.full(count, optional))
        if is_kind(bool, kind) or is_kind(datetime, kind):
            column = self.cells.flags(name) if is_kind(bool, kind) else self.cells.times(name)
            return Column(column.values, column.sure & (optional | ~np.isnan(column.values)))
        column = self.cells.texts(name) if is_text else self.cells.numbers(name)
        fits = _texts_fit if is_text else _numbers_fit
        return Column(column.values, column.sure & fits(column, self.schema, name))

    def _one_by_one(self, rows: Sequence[int], good: np.ndarray) -> Mapping[int, Parsed]:
        """Rows that are read by the schema's own parse, by their places; those it refuses are no longer good."""
        found = {}
        for row in rows:
            try:
                found[row] = self.parse(row)
            except InvalidTransaction as wrong:
                good[row] = False
                self.problems += self._problems(row, wrong)
        return found

    def _problems(self, row: int, wrong: InvalidTransaction) -> Iterator[RowProblem]:
        """What is wrong with a row, in the words of the single call."""
        for one in self._refusals(row, wrong):
            column = self.cells.columns.get(one.param, one.param)
            kind: Kind = "field_missing" if one.missing else "field_invalid" if one.param else "row_malformed"
            yield RowProblem(self.chunk.first + row + 1, column, one.detail, kind)

    def _refusals(self, row: int, wrong: InvalidTransaction) -> Sequence[InvalidTransaction]:
        try:
            return list(islice(self.schema.problems(self.cells.transaction(row)), MOST_TOLD)) or [wrong]
        except InvalidTransaction:
            return [wrong]

    def _block(
        self, columns: Mapping[str, np.ndarray], parsed: Mapping[int, Parsed], good: np.ndarray, places: np.ndarray
    ) -> Block:
        def column(name: str) -> np.ndarray:
            """A field's column of the good rows, with what was read row by row."""
            if name not in columns:
                return self.schema.column(name, [getattr(parsed[row].transaction, name) for row in places.tolist()])
            whole = columns[name].copy() if parsed else columns[name]
            for row, one in parsed.items():
                whole[row] = self.schema.column(name, [getattr(one.transaction, name)])[0]
            return whole if good.all() else whole[good]

        fields = Columns(column)
        at_ms = self.schema.event_time_ms(fields, np.full(len(places), float(self.received_ms)), BLOCK)
        masked = [place for place, row in enumerate(places.tolist()) if row in parsed and parsed[row].masked]
        return Block(self.schema, fields, np.trunc(at_ms), lambda row: self.parse(int(places[row])), masked)


def _texts_fit(column: Column, schema: TransactionSchema, name: str) -> np.ndarray:
    """Which texts are as long as their field takes, or may be left out."""
    least, most = bounds_of_length(schema.types[name])
    optional = name not in schema.required
    if column.longest <= most and least <= 1 and (optional or column.whole):
        return np.ones(len(column.values), dtype=bool)
    texts = column.values.tolist()
    return np.array([optional if one is None else least <= len(one) <= most for one in texts], dtype=bool)


def _numbers_fit(column: Column, schema: TransactionSchema, name: str) -> np.ndarray:
    """Which numbers are within their field's bounds, or may be left out."""
    kind, values = schema.types[name], column.values
    fits = np.abs(values) < MAY_BE_CARD
    for meta in metas(kind):
        fits &= values >= (-inf if meta.ge is None else meta.ge)
        fits &= values <= (inf if meta.le is None else meta.le)
        fits &= values > (-inf if meta.gt is None else meta.gt)
        fits &= values < (inf if meta.lt is None else meta.lt)
    if not is_kind(float, kind):
        fits &= np.floor(values) == values
    return fits | (np.isnan(values) & (name not in schema.required))


def bounds_of_length(kind: Any) -> tuple[int, float]:
    """The least and the most characters a field's text may have."""
    found = metas(kind)
    return max((meta.min_length or 0 for meta in found), default=0), min(
        (meta.max_length for meta in found if meta.max_length is not None), default=inf
    )
