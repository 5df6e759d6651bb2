"""The one table of all lists: searched, filtered, sorted, cut to pages, exported; drawn by parts/table.html.

A page declares a `Table` once and shows rows in it: a queryset, cut by keyset however long it is, or a list that is
short by nature. What is asked stands in the address, so that it can be kept and sent; what is not offered there is
ignored, what can't be read is said at its field. Several tables of a page have names, which begin their parameters.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.timezone import get_current_timezone

from apps import paging
from apps.errors import Problem
from apps.portal.export import KINDS, plain
from apps.portal.filters import Filter
from apps.text import forbidden

A_PAGE = 25
#: Rows of an export that are read at once.
AT_ONCE = 1_000
LONGEST = 128
#: What addresses ask of a table beside its filters, which have other names.
ASKED = ("sort", "cursor", "before", "export")
#: What leads to the first page.
_FROM_THE_START = {"cursor": "", "before": ""}

Rows = QuerySet[Any] | Sequence[Any]
Within = Callable[[], AbstractContextManager[None]]


class Column(NamedTuple):
    """A column: what of a row it tells (also in exports), and by which columns of the database it is sorted.

    `sort`: together unique, never null; of a list that is no queryset any: it is sorted by the value itself.
    What is not `shown` is exported alone.
    """

    name: str
    label: str
    value: Callable[[Any], Any]
    sort: tuple[str, ...] = ()
    number: bool = False
    shown: bool = True


class Empty(NamedTuple):
    """What stands where there is nothing yet: what to do next."""

    title: str
    text: str = ""
    address: str = ""
    action: str = ""


class Heading(NamedTuple):
    """A column's head: where a click on it leads, and how it is sorted now (`aria-sort`), "" when it is not."""

    label: str
    number: bool
    link: str
    sorted: str


class Field(NamedTuple):
    """A filter as it is drawn."""

    id: str
    name: str
    label: str
    kind: str
    choices: tuple[tuple[str, str], ...]
    value: str
    wrong: str


@dataclass(frozen=True)
class Shown:
    """A table with its rows, as its template draws it."""

    name: str
    row: str
    rows: list[Any]
    headings: list[Heading]
    fields: list[Field]
    empty: Empty
    asked: bool
    clear: str
    first: str
    previous: str
    next: str
    exports: dict[str, str]
    kept: list[tuple[str, str]]

    @property
    def id(self) -> str:
        return f"table-{self.name or 'rows'}"


@dataclass(frozen=True)
class Table:
    """A list of one kind of rows. `row`: the template of a row's `<tr>`; `key`: by what it is sorted unless told."""

    columns: tuple[Column, ...]
    row: str
    name: str = ""
    title: str = ""
    filters: tuple[Filter, ...] = ()
    key: tuple[str, ...] = ("created_at", "id")
    rising: bool = False
    limit: int = A_PAGE
    #: What is drawn and told of a row that was read.
    prepare: Callable[[Any], Any] = field(default=lambda row: row)

    def __post_init__(self) -> None:
        taken = {one.name for one in self.filters}.intersection(ASKED)
        if taken:
            raise ValueError(f"A filter can't be called {', '.join(sorted(taken))}: addresses ask that of every table.")

    def show(self, request: HttpRequest, rows: Rows, empty: Empty, within: Within | None = None) -> Shown:
        """The page of the rows that is asked for, by a reader whose zone is active. `within`: where rows are read."""
        asked = self._asked(request)
        found, wrong = self._filtered(rows, asked)
        with (within or nullcontext)():
            page = self._page(found, asked)
        link = _Links(request, self.name)
        filtered = {one.name for one in self.filters if asked.get(one.name)}
        without = dict.fromkeys([one.name for one in self.filters], "")
        return Shown(
            name=self.name,
            row=self.row,
            rows=[self.prepare(row) for row in page.rows],
            headings=[self._heading(column, asked, link) for column in self.columns if column.shown],
            fields=[self._field(one, asked.get(one.name, ""), wrong.get(one.name, "")) for one in self.filters],
            empty=empty,
            asked=bool(filtered),
            clear=link(**without, **_FROM_THE_START),
            first=link(**_FROM_THE_START) if page.previous_cursor else "",
            previous=link(cursor="", before=page.previous_cursor) if page.previous_cursor else "",
            next=link(cursor=page.next_cursor, before="") if page.next_cursor else "",
            exports={kind: link(export=kind, **_FROM_THE_START) for kind in KINDS},
            kept=[(name, value) for name, value in link.query.items() if name not in self._own()],
        )

    def exports(self, request: HttpRequest) -> bool:
        """Whether a file of this table is asked for."""
        return self._asked(request).get("export", "") in KINDS

    def export(
        self, request: HttpRequest, rows: Rows, called: str, within: Within | None = None
    ) -> StreamingHttpResponse:
        """The rows that are asked for as a file, streamed."""
        asked = self._asked(request)
        kind = asked["export"]
        found, _ = self._filtered(rows, asked)
        told = self._told(found, asked, within or nullcontext)
        headers = {"Content-Disposition": f'attachment; filename="{called}.{kind}"'}
        media_type, written = KINDS[kind]
        lines = written([column.name for column in self.columns], told)
        return StreamingHttpResponse(lines, content_type=media_type, headers=headers)

    # --- what is asked ------------------------------------------------------------------------------------------------

    def _asked(self, request: HttpRequest) -> dict[str, str]:
        """Of the address what concerns this table."""
        begins = f"{self.name}." if self.name else ""
        names = (*(one.name for one in self.filters), *ASKED)
        said = {name: request.GET.get(f"{begins}{name}", "").strip() for name in names}
        return {name: value for name, value in said.items() if value}

    def _own(self) -> set[str]:
        begins = f"{self.name}." if self.name else ""
        return {f"{begins}{name}" for name in (*(one.name for one in self.filters), "cursor", "before", "export")}

    def _filtered(self, rows: Rows, asked: Mapping[str, str]) -> tuple[Rows, dict[str, str]]:
        """The rows that are asked for, and what is wrong with what filter."""
        wrong: dict[str, str] = {}
        for one in self.filters:
            if not (said := asked.get(one.name)):
                continue
            try:
                test = one.read(_readable(said), get_current_timezone())
            except ValueError as refusal:
                wrong[one.name] = str(refusal)
                continue
            rows = rows.filter(test) if isinstance(rows, QuerySet) else list(filter(test, rows))  # type: ignore[arg-type]
        return rows, wrong

    def _sorting(self, asked: Mapping[str, str]) -> tuple[Column | None, bool]:
        """By which column, None for the table's own key; and whether the least comes first."""
        said = asked.get("sort", "")
        column = next((one for one in self.columns if one.sort and one.name == said.removeprefix("-")), None)
        return (column, not said.startswith("-")) if column else (None, self.rising)

    # --- rows ---------------------------------------------------------------------------------------------------------

    def _page(self, rows: Rows, asked: Mapping[str, str]) -> paging.PageBetween[Any]:
        """The page that is asked for; the first one when its cursor is of another order, or none of ours."""
        if not isinstance(rows, QuerySet):
            return _slice(self._sorted(rows, asked), asked, self.limit)
        column, rising = self._sorting(asked)
        key, cursor, before = column.sort if column else self.key, asked.get("cursor"), asked.get("before")
        try:
            if before:
                return paging.page_before(rows, key, before, self.limit, rising=rising)
            page = paging.page_of(rows, key, cursor, self.limit, rising=rising)
        except Problem:
            cursor, page = None, paging.page_of(rows, key, None, self.limit, rising=rising)
        begins = paging.cursor_of(page.rows[0], key) if cursor and page.rows else None
        return paging.PageBetween(page.rows, page.next_cursor, begins)

    def _sorted(self, rows: Sequence[Any], asked: Mapping[str, str]) -> Sequence[Any]:
        """A list in the order that is asked for."""
        column, rising = self._sorting(asked)
        return sorted(rows, key=lambda row: _order(column.value(row)), reverse=not rising) if column else rows

    def _told(self, rows: Rows, asked: dict[str, str], within: Within) -> Iterator[dict[str, Any]]:
        """Each row as it is exported, to the last one; a queryset's are read a thousand at a time."""
        for row in self._each(rows, asked, within):
            told = self.prepare(row)
            yield {column.name: plain(column.value(told)) for column in self.columns}

    def _each(self, rows: Rows, asked: Mapping[str, str], within: Within) -> Iterator[Any]:
        if not isinstance(rows, QuerySet):
            yield from self._sorted(rows, asked)
            return
        column, rising = self._sorting(asked)
        key, cursor, first = column.sort if column else self.key, None, True
        while first or cursor:
            with within():
                page = paging.page_of(rows, key, cursor, AT_ONCE, rising=rising)
            yield from page.rows
            cursor, first = page.next_cursor, False

    # --- how it is drawn ----------------------------------------------------------------------------------------------

    def _heading(self, column: Column, asked: Mapping[str, str], link: "_Links") -> Heading:
        sorted_by, rising = self._sorting(asked)
        mine = sorted_by is column or (sorted_by is None and bool(column.sort) and column.sort == self.key)
        said = ("ascending" if rising else "descending") if mine else ""
        turned = column.name if mine and not rising else f"-{column.name}"
        return Heading(column.label, column.number, link(sort=turned, **_FROM_THE_START) if column.sort else "", said)

    def _field(self, one: Filter, value: str, wrong: str) -> Field:
        begins = f"{self.name}." if self.name else ""
        return Field(
            f"f-{begins}{one.name}".replace(".", "-"), begins + one.name, one.label, one.kind, one.choices, value, wrong
        )


class _Links:
    """Addresses of the same page that ask for something else of one table."""

    def __init__(self, request: HttpRequest, name: str) -> None:
        self.query: dict[str, str] = request.GET.dict()
        self._begins = f"{name}." if name else ""

    def __call__(self, **changes: str) -> str:
        changed = self.query | {f"{self._begins}{name}": value for name, value in changes.items()}
        changed.pop(f"{self._begins}export", "") if "export" not in changes else None
        return "?" + urlencode({name: value for name, value in changed.items() if value})


def _readable(said: str) -> str:
    if len(said) > LONGEST or forbidden(said):
        raise ValueError(f"At most {LONGEST} printable characters.")
    return said


def _slice(rows: Sequence[Any], asked: Mapping[str, str], limit: int) -> paging.PageBetween[Any]:
    """A page of a list, whose cursors are places in it."""
    before = _place(asked.get("before", ""))
    begin = max(before - limit, 0) if before else _place(asked.get("cursor", ""))
    end = begin + limit
    return paging.PageBetween(
        list(rows[begin:end]), str(end) if end < len(rows) else None, str(begin) if begin else None
    )


def _place(said: str) -> int:
    return int(said) if said.isdecimal() and len(said) < 9 else 0


def _order(value: Any) -> tuple[bool, Any]:
    """What is not known comes last when the largest comes first."""
    return (value is not None, value.casefold() if isinstance(value, str) else value or 0)
