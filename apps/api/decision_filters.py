"""Asking for a page of decisions: which filters there are and what they take, declared once."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, get_args

from django.http import HttpRequest

from apps import card_numbers, times
from apps.api.parameters import Query, page_in, query_of, quoted
from apps.errors import FieldError, Problem, fields_invalid, read_all
from apps.scoring.engine.decide import Action, RiskLevel
from apps.scoring.engine.schemas import SCHEMAS
from apps.text import spellings

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
    if not text or len(text) > 128:
        raise ValueError("1 to 128 characters")
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


def _words(column: str, description: str, words: Sequence[str]) -> Filter:
    return Filter(column, _one_of(*words), description, {"enum": list(words)})


def _time(lookup: str, description: str) -> Filter:
    return Filter(lookup, _moment, description, {"type": "string", "format": "date-time"})


_NAME = {"type": "string", "minLength": 1, "maxLength": 128}
FILTERS: Mapping[str, Filter] = {
    "schema": _words("schema", "Only this kind of transaction.", tuple(SCHEMAS)),
    "status": _words("status", "Only these.", ("new", "superseding")),
    "risk_level": _words("risk_level", "Only this level.", get_args(RiskLevel)),
    "recommended_action": _words("recommended_action", "Only this action.", get_args(Action)),
    "transaction_id": Filter("transaction_id__in", _text, "Only decisions on this transaction.", _NAME),
    "created_after": _time("created_at__gte", "From this time on."),
    "created_before": _time("created_at__lt", "Before this time."),
}


def filters_of(request: HttpRequest) -> tuple[int, str | None, dict[str, Any]]:
    """(limit, cursor, filters) of a query string. Raises `Problem` naming the parameter."""
    query = query_of(request.META)
    asked = [name for name in FILTERS if name in query]
    _, page, *values = read_all(
        lambda: _only_known(query), lambda: page_in(query), *(partial(_checked, query, name) for name in asked)
    )
    return *page, {FILTERS[name].lookup: value for name, value in zip(asked, values, strict=True)}


def _only_known(query: Query) -> None:
    """A filter that was misspelt would be one that was left out. Raises `Problem`."""
    known = (*FILTERS, "limit", "cursor")
    there_are = f"there are {', '.join(known)}."
    unknown = [
        FieldError(name, f"There is no parameter {quoted(name)}; {there_are}") for name in query if name not in known
    ]
    if unknown:
        raise fields_invalid(unknown)


def _checked(query: Query, name: str) -> Any:
    try:
        return FILTERS[name].check(query[name])
    except ValueError as wrong:
        raise Problem("field_invalid", f"'{name}' takes {wrong}; not {quoted(query[name])}.", name) from wrong
