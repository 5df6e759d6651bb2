"""The parameters of a query string: read by one rule at every endpoint that takes any, before a store is asked.

A query string is UTF-8, whatever charset its request speaks of, of at most `MOST` parameters, each given once; their
values hold no control character. What a value has to be beyond that, is said by the endpoint: counts, cursors and days
here, for all of them.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import parse_qsl

from apps import card_numbers, text
from apps.errors import Problem
from apps.paging import DEFAULT_A_PAGE, MOST_A_PAGE

Query = Mapping[str, str]

#: Parameters of one request: no endpoint knows more than ten.
MOST = 50
LONGEST_TOLD = 80
NOT_UTF_8 = "The query string takes UTF-8, percent-encoded."
#: Held to a form of their own, which refuses such texts in its own words.
OWN_RULE = ("cursor", "model")
_CURSOR = re.compile("[A-Za-z0-9_-]{1,400}")
#: Stands where bytes were no UTF-8. Nobody means it.
REPLACED = "\ufffd"
_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


def query_of(meta: Mapping[str, Any]) -> Query:
    """What a request's query string says: name → value. Raises `Problem`."""
    try:
        query = meta.get("QUERY_STRING", "").encode("latin-1").decode()
        pairs = parse_qsl(query, keep_blank_values=True, encoding="utf-8", errors="replace", max_num_fields=MOST)
    except UnicodeError as wrong:
        raise Problem("query_invalid", NOT_UTF_8) from wrong
    except ValueError as wrong:
        raise Problem("query_invalid", f"The query string takes at most {MOST} parameters.") from wrong
    found: dict[str, str] = {}
    for name, value in pairs:
        shown = name.encode("ascii", "backslashreplace").decode()[:LONGEST_TOLD]
        if REPLACED in name or (REPLACED in value and name not in OWN_RULE):
            raise Problem("query_invalid", NOT_UTF_8)
        if name in found:
            raise Problem("field_invalid", f"'{shown}' is there more than once.", shown)
        if never := text.forbidden(name) or (name not in OWN_RULE and text.forbidden(value)):
            raise Problem("field_invalid", f"'{shown}' {never}.", shown)
        found[name] = value
    return found


def count_in(query: Query, name: str, *, default: int, most: int) -> int:
    """How many are asked for. Raises `Problem`."""
    value = query.get(name)
    if value is None:
        return default
    if not re.fullmatch("[0-9]{1,9}", value) or not 1 <= int(value) <= most:
        raise Problem("field_invalid", f"'{name}' takes a whole number from 1 to {most}, not {quoted(value)}.", name)
    return int(value)


def page_in(query: Query) -> tuple[int, str | None]:
    """How many rows a page has, and behind which cursor it begins; None at the beginning. Raises `Problem`."""
    limit = count_in(query, "limit", default=DEFAULT_A_PAGE, most=MOST_A_PAGE)
    cursor = query.get("cursor")
    if cursor is not None and not _CURSOR.fullmatch(cursor):
        raise Problem("cursor_invalid", param="cursor")
    return limit, cursor


def one_of(query: Query, name: str, words: Sequence[str]) -> str | None:
    """One of some words; None when nothing is asked for. Raises `Problem`."""
    value = query.get(name)
    if value is not None and value not in words:
        raise Problem("field_invalid", f"'{name}' takes one of {', '.join(words)}; not {quoted(value)}.", name)
    return value


def day_in(query: Query, name: str, default: date) -> date:
    """A day. Raises `Problem`."""
    value = query.get(name)
    if value is None:
        return default
    try:
        if _DAY.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:  # there is no such day
        pass
    raise Problem("field_invalid", f"'{name}' takes a day such as 2026-01-31, not {quoted(value)}.", name)


def quoted(value: str) -> str:
    """A sender's own value as an error quotes it."""
    return f"'{card_numbers.cut(value, LONGEST_TOLD)}'"
