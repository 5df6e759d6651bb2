"""Rows as files: CSV whose texts are no formulas in any spreadsheet, JSON; line by line. Pure."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from apps import spreadsheets


def plain(value: Any) -> Any:
    """A value as JSON has it; times in UTC."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, date | Decimal) else value


def as_csv(names: Sequence[str], rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A line of names, a line a row."""
    yield _line(names)
    for row in rows:
        yield _line([_cell(value) for value in row.values()])


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    return "" if value is None else spreadsheets.cell(value)


def _line(cells: Sequence[Any]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow(cells)
    return written.getvalue()


def as_json(names: Sequence[str], rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """A list of objects, a line each."""
    before = "[\n"
    for row in rows:
        yield before + json.dumps(row, ensure_ascii=False)
        before = ",\n"
    yield "\n]\n" if before != "[\n" else "[]\n"


#: Kind of file → its media type, and how it is written of column names and rows.
KINDS: Mapping[str, tuple[str, Callable[[Sequence[str], Iterable[dict[str, Any]]], Iterator[str]]]] = {
    "csv": ("text/csv; charset=utf-8", as_csv),
    "json": ("application/json", as_json),
}
