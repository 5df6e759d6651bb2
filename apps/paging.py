"""Pages of lists, newest first, with one form of cursor for all of them.

Pages are cut by keyset, so they are stable while new rows arrive. A cursor is the key of the last row that was shown:
base64url of its JSON, one opaque word for clients.
"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from django.core.exceptions import ValidationError
from django.db.models import DateTimeField, Field, Model, Q, QuerySet

from apps.errors import Problem
from apps.text import forbidden

DEFAULT_A_PAGE = 20
MOST_A_PAGE = 100

Row = TypeVar("Row", bound=Model)


class Page(NamedTuple, Generic[Row]):
    """The rows, and where the next page begins; None at the end."""

    rows: list[Row]
    next_cursor: str | None


class PageBetween(NamedTuple, Generic[Row]):
    """The rows, where the next page begins, and before what the one before ends; None where there is none."""

    rows: list[Row]
    next_cursor: str | None
    previous_cursor: str | None


def page_of(
    rows: QuerySet[Row], key: Sequence[str], cursor: str | None, limit: int, *, rising: bool = False
) -> Page[Row]:
    """Cut one page of `limit` rows, the largest first by the columns `key` (or the least, `rising`), behind `cursor`.

    Together the columns are unique. Raises `Problem` (cursor_invalid) for a cursor that is not ours.
    """
    ordered = rows.order_by(*(column if rising else f"-{column}" for column in key))
    if cursor is not None:
        beyond = "gt" if rising else "lt"
        ordered = ordered.filter(_behind(key, _key_in(cursor, [_field(rows, column) for column in key]), beyond))
    found = list(ordered[: limit + 1])
    shown = found[:limit]
    return Page(shown, cursor_of(shown[-1], key) if len(found) > limit else None)


def page_before(
    rows: QuerySet[Row], key: Sequence[str], cursor: str, limit: int, *, rising: bool = False
) -> PageBetween[Row]:
    """Cut the page that ends before `cursor`: the first one when less than a page is there.

    Raises `Problem` (cursor_invalid) for a cursor that is not ours.
    """
    turned = page_of(rows, key, cursor, limit, rising=not rising)
    if turned.next_cursor is None:
        first = page_of(rows, key, None, limit, rising=rising)
        return PageBetween(first.rows, first.next_cursor, None)
    shown = turned.rows[::-1]
    return PageBetween(shown, cursor_of(shown[-1], key), cursor_of(shown[0], key))


def cursor_of(row: Model, key: Sequence[str]) -> str:
    """Name the place behind a row."""
    return (
        base64.urlsafe_b64encode(msgspec.json.encode([_as_text(getattr(row, column)) for column in key]))
        .decode()
        .rstrip("=")
    )


def _as_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _field(rows: QuerySet[Any], column: str) -> Field:
    """What a column holds: one of the model's, or one that is computed."""
    computed = rows.query.annotations.get(column)
    return computed.output_field if computed is not None else rows.model._meta.get_field(column)


def _key_in(cursor: str, fields: Sequence[Field]) -> list[Any]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        values = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=list[str])
        return [_value(field, value) for field, value in zip(fields, values, strict=True)]
    except (ValueError, OverflowError, msgspec.DecodeError, ValidationError) as wrong:
        raise Problem("cursor_invalid", param="cursor") from wrong


def _value(field: Field, text: str) -> Any:
    """A column's value as Postgres takes it. Raises `ValueError`."""
    if isinstance(field, DateTimeField):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("a time without a zone")
        return moment.astimezone(UTC)  # Postgres knows no offset beyond 16 hours
    if forbidden(text):
        raise ValueError("no text of ours")
    return field.to_python(text)


def _behind(key: Sequence[str], values: Sequence[Any], beyond: str) -> Q:
    """Rows whose key lies beyond, column by column. `beyond`: lt or gt."""
    behind, same = Q(), Q()
    for column, value in zip(key, values, strict=True):
        behind |= same & Q(**{f"{column}__{beyond}": value})
        same &= Q(**{column: value})
    return behind
