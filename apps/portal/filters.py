"""Filters of tables: what of a list is asked for by a field above it. Pure.

`read` of a filter makes of what was typed, in the reader's zone, what rows must be: a `Q` for rows of the database, a
test of one row for lists.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Any, Literal, NamedTuple

from django.db.models import Q


class Filter(NamedTuple):
    """A field above the table. `read` makes of what was typed, in somebody's zone, what rows must be; of lists: a test
    of one row. Raises `ValueError` in words for what can't be."""

    name: str
    label: str
    read: Callable[[str, tzinfo], Q | Callable[[Any], bool]]
    kind: Literal["search", "choice", "date", "number"] = "search"
    choices: tuple[tuple[str, str], ...] = ()


def search(label: str, *columns: str) -> Filter:
    """Rows of a queryset in which any of the columns holds what is typed."""
    return Filter("q", label, lambda said, _: _any(Q(**{f"{column}__icontains": said}) for column in columns))


def search_in(label: str, *texts: Callable[[Any], str]) -> Filter:
    """Rows of a list of which any text holds what is typed."""
    return Filter(
        "q", label, lambda said, _: lambda row: any(said.casefold() in text(row).casefold() for text in texts)
    )


def choice(name: str, label: str, choices: Iterable[tuple[str, str]], lookup: str = "") -> Filter:
    """Rows of a queryset whose column is the one chosen."""
    known = tuple(choices)

    def read(said: str, _: tzinfo) -> Q:
        if said not in dict(known):
            raise ValueError("Choose one of these.")
        return Q(**{lookup or name: said})

    return Filter(name, label, read, "choice", known)


def choice_in(name: str, label: str, choices: Iterable[tuple[str, str]], value: Callable[[Any], str]) -> Filter:
    """Rows of a list of which this is the one chosen."""
    return Filter(name, label, lambda said, _: lambda row: value(row) == said, "choice", tuple(choices))


def days(column: str) -> tuple[Filter, Filter]:
    """Rows from a day on, and up to one, of the reader's own zone."""
    return (
        Filter("from", "From", lambda said, zone: Q(**{f"{column}__gte": _midnight(said, zone)}), "date"),
        Filter("to", "To", lambda said, zone: Q(**{f"{column}__lt": _midnight(said, zone, timedelta(days=1))}), "date"),
    )


def least_and_most(name: str, label: str, column: str) -> tuple[Filter, Filter]:
    """Rows whose number is at least, and at most, what is typed."""
    return (
        Filter(f"{name}_from", f"{label} from", lambda said, _: Q(**{f"{column}__gte": _number(said)}), "number"),
        Filter(f"{name}_to", f"{label} to", lambda said, _: Q(**{f"{column}__lte": _number(said)}), "number"),
    )


def _any(tests: Iterable[Q]) -> Q:
    found = Q()
    for test in tests:
        found |= test
    return found


def _midnight(said: str, zone: tzinfo, later: timedelta = timedelta(0)) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(said) + later, time.min, zone)
    except (ValueError, OverflowError) as wrong:
        raise ValueError("A day such as 2026-11-30.") from wrong


def _number(said: str) -> float:
    try:
        number = float(said.replace(",", ""))
    except ValueError as wrong:
        raise ValueError("A number such as 250.") from wrong
    if number != number or abs(number) == float("inf"):
        raise ValueError("A number such as 250.")
    return number
