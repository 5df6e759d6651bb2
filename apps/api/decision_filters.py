"""Asking for a page of decisions: which filters there are, what they take, and how a page is told."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.http import HttpRequest

from apps import card_numbers, times
from apps.api.parameters import count_in, cursor_in, query_of
from apps.errors import Problem
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.serving.decisions import MOST_A_PAGE, Page
from apps.text import spellings

DEFAULT_A_PAGE = 20
_CURSOR = re.compile("[A-Za-z0-9_-]{1,200}")  # what decisions.cursor_of makes
_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
# Between a time and its zone: a "+" that was not escaped.
_LOST_PLUS = re.compile("(t[0-9:.,]+|:[0-9]{2}(?:[.,][0-9]+)?) ([0-9]{2}(?::?[0-9]{2})?)$", re.IGNORECASE)


def _one_of(*words: str) -> Callable[[str], str]:
    def check(said: str) -> str:
        if said not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return said

    return check


def _text(said: str) -> tuple[str, ...]:
    if not said or len(said) > 128:
        raise ValueError("1 to 128 characters")
    return spellings(card_numbers.mask_id(said))  # as it is stored


def _moment(said: str) -> datetime:
    """In UTC: Postgres knows no offset beyond 16 hours. A day is its first moment."""
    try:
        found = datetime.fromisoformat(said) if _DAY.fullmatch(said) else times.read(_LOST_PLUS.sub(r"\1+\2", said))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as wrong:
        raise ValueError("a time such as 2026-01-05T10:00:00Z") from wrong


#: Query parameter → (column lookup, what it takes).
FILTERS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "schema": ("schema", _one_of(*SCHEMAS)),
    "status": ("status", _one_of("new", "superseding")),
    "risk_level": ("risk_level", _one_of("low", "medium", "high", "critical")),
    "recommended_action": ("recommended_action", _one_of("approve", "review", "challenge", "block")),
    "transaction_id": ("transaction_id__in", _text),
    "created_after": ("created_at__gte", _moment),
    "created_before": ("created_at__lt", _moment),
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
    filters = {lookup: _checked(name, check, query[name]) for name, (lookup, check) in FILTERS.items() if name in query}
    limit = count_in(query, "limit", default=DEFAULT_A_PAGE, most=MOST_A_PAGE)
    return limit, cursor_in(query, _CURSOR), filters


def page_of(page: Page) -> bytes:
    """A page as it is answered."""
    return msgspec.json.encode(
        {
            "object": "list",
            "data": [msgspec.Raw(answer) for answer in page.answers],
            "has_more": page.next_cursor is not None,
            "next_cursor": page.next_cursor,
        }
    )


def _checked(name: str, check: Callable[[str], Any], said: str) -> Any:
    try:
        return check(said)
    except ValueError as wrong:
        raise Problem("field_invalid", f"It takes {wrong}.", name) from wrong
