"""Asking for a page of decisions: which filters there are and what they take, declared once."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, get_args

from django.http import HttpRequest

from apps import card_numbers, times
from apps.api.parameters import page_in, query_of
from apps.errors import Problem
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
    unknown = sorted(set(query) - set(FILTERS) - {"limit", "cursor"})
    if unknown:
        known = ", ".join([*FILTERS, "limit", "cursor"])
        raise Problem(
            "field_invalid", f"There is no such parameter; there are {known}.", card_numbers.cut(unknown[0], 80)
        )
    filters = {row.lookup: _checked(name, row.check, query[name]) for name, row in FILTERS.items() if name in query}
    return *page_in(query), filters


def _checked(name: str, check: Callable[[str], Any], text: str) -> Any:
    try:
        return check(text)
    except ValueError as wrong:
        raise Problem("field_invalid", f"It takes {wrong}.", name) from wrong
