"""Items as they are given, by JSON or as lines of a file: read, or what is wrong with them in words. Pure.

A file is CSV whose first line names the columns (value, expires_at, note), or a value a line.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from apps import card_numbers, text, times
from apps.errors import FieldError
from apps.scoring.lists.item_types import LONGEST_VALUE, Item, NoItem, item_of

LONGEST_NOTE = 200
COLUMNS = ("value", "expires_at", "note")
ONE_COLUMN = ("value",)

Value = Annotated[str, Meta(min_length=1, max_length=LONGEST_VALUE)]


class GivenItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An item to be."""

    value: Annotated[Value | int, Meta(description="What is to be in the list, such as transactions hold it.")]
    expires_at: (
        Annotated[
            str,
            Meta(
                max_length=40,
                description="From then on it is not in the list; never, when left out.",
                extra_json_schema={"format": "date-time"},
            ),
        ]
        | None
    ) = None
    note: Annotated[str, Meta(max_length=LONGEST_NOTE, description="For you.")] = ""


class NewItem(NamedTuple):
    """An item to be, read."""

    item: Item
    expires_at: datetime | None = None
    note: str = ""


class Line(NamedTuple):
    """A line of a file: the item, or what is wrong."""

    number: int
    item: NewItem | None
    problem: FieldError | None = None


class UnreadableList(ValueError):
    """The file is no list of items; the message says why."""


def read(type_name: str, given: GivenItem, now: datetime) -> tuple[NewItem | None, list[FieldError]]:
    """An item of a list of that type, or all its wrong fields."""
    errors: list[FieldError] = []
    item, expires_at = None, None
    try:
        item = _item(type_name, given.value)
    except NoItem as wrong:
        errors.append(FieldError("value", f"'value' {wrong}."))
    try:
        expires_at = _end(given.expires_at, now)
    except ValueError as wrong:
        errors.append(FieldError("expires_at", f"'expires_at' {wrong}."))
    if never := text.forbidden(given.note):
        errors.append(FieldError("note", f"'note' {never}."))
    if errors or item is None:
        return None, errors
    return NewItem(item, expires_at, card_numbers.mask(given.note)), []


def csv_lines(type_name: str, rows: Iterable[str], now: datetime) -> Iterator[Line]:
    """The items of a CSV file, a line each; the first names the columns, unless there is but one. Raises
    `UnreadableList`."""
    reader = csv.reader(rows, strict=True)
    try:
        first = next((row for row in reader if _says_something(row)), [])
        columns = _columns(first)
        if columns == ONE_COLUMN and not _is_header(first):
            yield _line(type_name, reader.line_num, columns, first, now)
        for row in filter(_says_something, reader):
            yield _line(type_name, reader.line_num, columns, row, now)
    except csv.Error as wrong:
        raise UnreadableList(f"Line {reader.line_num} is no CSV: {wrong}.") from wrong


def text_lines(type_name: str, rows: Iterable[str], now: datetime) -> Iterator[Line]:
    """The items of a text file: a value a line."""
    for number, row in enumerate(rows, start=1):
        if row.strip():
            yield _line(type_name, number, ONE_COLUMN, [row], now)


def _line(type_name: str, number: int, columns: Sequence[str], row: Sequence[str], now: datetime) -> Line:
    cells = {column: cell.strip() for column, cell in zip(columns, row, strict=False)}
    if len(row) > len(columns):
        return Line(number, None, FieldError("", "There are more cells than columns."))
    if len(cells.get("note", "")) > LONGEST_NOTE:
        return Line(number, None, FieldError("note", f"'note' takes {LONGEST_NOTE} characters."))
    given = GivenItem(cells.get("value", ""), cells.get("expires_at") or None, cells.get("note", ""))
    item, errors = read(type_name, given, now)
    return Line(number, item, errors[0] if errors else None)


def _says_something(row: Sequence[str]) -> bool:
    return any(cell.strip() for cell in row)


def _is_header(row: Sequence[str]) -> bool:
    return [cell.strip().lower() for cell in row] == list(ONE_COLUMN)


def _columns(row: Sequence[str]) -> tuple[str, ...]:
    """The columns a file's first line names. Raises `UnreadableList`."""
    if len(row) == 1:
        return ONE_COLUMN
    names = tuple(cell.strip().lower() for cell in row)
    if "value" not in names or not set(names) <= set(COLUMNS) or len(set(names)) < len(names):
        raise UnreadableList(f"The first line names the columns: value, and some of {', '.join(COLUMNS[1:])}.")
    return names


def _item(type_name: str, value: str | int) -> Item:
    if never := text.refusal(str(value)):
        raise NoItem(never)
    return item_of(type_name, value)


def _end(said: str | None, now: datetime) -> datetime | None:
    """When it expires. Raises `ValueError` in words."""
    if said is None:
        return None
    try:
        found = times.read(said)
        end = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as wrong:
        raise ValueError("takes a time such as 2027-01-05T10:00:00Z") from wrong
    if end <= now:
        raise ValueError("must be in the future")
    return end
