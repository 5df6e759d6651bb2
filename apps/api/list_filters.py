"""Asking for a page of a list: filters are rows of a table, each with what it takes; a list has a table of its own."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from django.http import HttpRequest

from apps import card_numbers, times
from apps.api.operation import Json, parameter
from apps.api.parameters import Query, page_in, query_of, quoted
from apps.errors import FieldError, Problem, fields_invalid, read_all
from apps.text import forbidden, spellings

_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Between a time and its zone: a "+" that was not escaped.
_LOST_PLUS = re.compile("(t[0-9:.,]+|:[0-9]{2}(?:[.,][0-9]+)?) ([0-9]{2}(?::?[0-9]{2})?)$", re.IGNORECASE)


def _one_of(*words: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return text

    return check


def _text(text: str) -> tuple[str, ...]:
    if not text or len(text) > 128 or forbidden(text):
        raise ValueError("1 to 128 printable characters")
    return spellings(card_numbers.mask_id(text))  # as it is stored


def _moment(text: str) -> datetime:
    """In UTC: Postgres knows no offset beyond 16 hours. A day is its first moment."""
    try:
        found = datetime.fromisoformat(text) if _DAY.fullmatch(text) else times.read(_LOST_PLUS.sub(r"\1+\2", text))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as wrong:
        raise ValueError("a time such as 2026-01-05T10:00:00Z") from wrong


class Filter(NamedTuple):
    """A query parameter: the column lookup it becomes, what it takes, and how the OpenAPI file says so."""

    lookup: str
    check: Callable[[str], Any]
    description: str
    schema: Mapping[str, Any]


_NAME = {"type": "string", "minLength": 1, "maxLength": 128}


def named(column: str, description: str) -> Filter:
    """Rows that name this, however it is spelled."""
    return Filter(f"{column}__in", _text, description, _NAME)


def words(column: str, description: str, words: Sequence[str]) -> Filter:
    return Filter(column, _one_of(*words), description, {"enum": list(words)})


def time(lookup: str, description: str) -> Filter:
    return Filter(lookup, _moment, description, {"type": "string", "format": "date-time"})


Filters = Mapping[str, Filter]


def asked_for(request: HttpRequest, filters: Filters) -> tuple[int, str | None, dict[str, Any]]:
    """(limit, cursor, lookups) of a query string. Raises `Problem` naming the parameter."""
    query = query_of(request.META)
    asked = [name for name in filters if name in query]
    _, page, *values = read_all(
        lambda: _only_known(query, filters),
        lambda: page_in(query),
        *(partial(_checked, query, name, filters[name]) for name in asked),
    )
    return *page, {filters[name].lookup: value for name, value in zip(asked, values, strict=True)}


def described(filters: Filters) -> tuple[Json, ...]:
    """The filters as parameters of the OpenAPI file."""
    return tuple(parameter(name, "query", one.description, one.schema) for name, one in filters.items())


def _only_known(query: Query, filters: Filters) -> None:
    """A filter that was misspelt would be one that was left out. Raises `Problem`."""
    known = (*filters, "limit", "cursor")
    there_are = f"there are {', '.join(known)}."
    unknown = [
        FieldError(name, f"There is no parameter {quoted(name)}; {there_are}") for name in query if name not in known
    ]
    if unknown:
        raise fields_invalid(unknown)


def _checked(query: Query, name: str, one: Filter) -> Any:
    try:
        return one.check(query[name])
    except ValueError as wrong:
        raise Problem("field_invalid", f"'{name}' takes {wrong}; not {quoted(query[name])}.", name) from wrong
