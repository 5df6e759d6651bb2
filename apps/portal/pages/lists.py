"""Lists: all of them, one with its items (search, paste, upload, remove, export), and adding from a decision's page."""

from typing import Any, NamedTuple

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone

from apps import card_numbers
from apps.accounts.tenancy import in_tenant
from apps.batches import list_files
from apps.batches.services import Received
from apps.errors import FieldError
from apps.portal.filters import Filter, choice_in, search_in
from apps.portal.page import InOtherMode, Page
from apps.portal.roles import Permission
from apps.portal.table import Column, Empty, Table
from apps.portal.uploads import on_disk
from apps.scoring.lists import importing, reads, services
from apps.scoring.lists.given import LONGEST_NOTE, GivenItem, NewItem, UnreadableList, read
from apps.scoring.lists.importing import MOST_BYTES, MOST_LINES, FileOfItems
from apps.scoring.lists.item_types import TYPES
from apps.scoring.lists.services import Added
from apps.scoring.models import ValueList
from apps.scoring.serving import decisions
from apps.times import rfc3339
from apps.valkey import Valkey, server

MEGABYTE = 1024 * 1024
#: Values that are pasted, and wrong lines that are shown.
MOST_PASTED, SHOWN = 1_000, 10
MOST_MEGABYTES = MOST_BYTES // MEGABYTE
_VALUE = "'value' "
NAME = r"^[a-z][a-z0-9_]{0,63}$"
TYPE_WORDS = tuple((name, one.words) for name, one in TYPES.items())


class ListForm(forms.Form):
    """A new list."""

    name = forms.RegexField(
        NAME, label="Name", help_text="Rules ask for it as lists.NAME: small letters, digits and _.",
        error_messages={"invalid": "Small letters, digits and _, a letter first: mules, trusted_cards."},
    )  # fmt: skip
    item_type = forms.ChoiceField(choices=TYPE_WORDS, label="Type of items")
    description = forms.CharField(max_length=200, required=False, label="Description")


class ItemsForm(forms.Form):
    """Values to be in the list, a line each."""

    values = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 4}), label="Values", help_text=f"One a line, up to {MOST_PASTED:,}."
    )
    expires_at = forms.DateTimeField(
        required=False, label="Until", help_text="Your time, such as 2027-01-31 12:00. Empty: for good."
    )
    note = forms.CharField(max_length=LONGEST_NOTE, required=False, label="Note")


class FileForm(forms.Form):
    """Values as a file."""

    file = forms.FileField(
        label="A CSV or text file",
        help_text=f"Up to {MOST_LINES:,} lines, {MOST_MEGABYTES} MB: a value a line, or columns value, expires_at, "
        "note. All of it takes effect at once.",
    )


class FromDecisionForm(forms.Form):
    """A decision's own value to be in a list."""

    list = forms.ChoiceField(label="List")
    field = forms.ChoiceField(label="Value")
    note = forms.CharField(max_length=LONGEST_NOTE, required=False, label="Note")

    def __init__(self, *args: Any, lists: Any, facts: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen: dict[str, Any] = self.fields
        chosen["list"].choices = [(row.name, f"{row.name} ({TYPES[row.item_type].words})") for row in lists]
        chosen["field"].choices = [(name, f"{name}: {value}") for name, value in facts.items()]


class ListRow(NamedTuple):
    """A list, and the rules that ask for it."""

    row: ValueList
    rules: list[str]


LISTS = Table(
    row="portal/rows/list.html",
    filters=(
        search_in("Name", lambda one: one.row.name, lambda one: one.row.description),
        choice_in("item_type", "Type of items", TYPE_WORDS, lambda one: one.row.item_type),
    ),
    columns=(
        Column("name", "List", lambda one: one.row.name, ("name",)),
        Column("item_type", "Type of items", lambda one: one.row.item_type),
        Column("items", "Items", lambda one: one.row.size, ("items",), number=True),
        Column("rules", "Used by rules", lambda one: " ".join(one.rules)),
        Column("created_at", "Created", lambda one: one.row.created_at, ("created_at",)),
        Column("created_by", "By", lambda one: one.row.created_by),
    ),
)


class _Lists(Page):
    """Something about lists."""

    changes = Permission.LISTS

    @property
    def valkey(self) -> Valkey:
        return server(settings.REDIS_URL, settings.REDIS_TIMEOUT)

    @property
    def by(self) -> dict[str, Any]:
        """Whose list is changed by whom, and who is told."""
        return {"tenant": self.tenant, "valkey": self.valkey, "actor": self.actor}

    def found(self, name: str) -> ValueList:
        """The list of that name in this mode."""
        row = reads.find(self.tenant.schema_name, self.livemode, name)
        if row is not None:
            return row
        if reads.find(self.tenant.schema_name, not self.livemode, name) is not None:
            raise InOtherMode("test list" if self.livemode else "live list")
        raise Http404


class ListsPage(_Lists):
    """The lists of this mode, and making one."""

    title, template = "Lists", "portal/pages/lists.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.exported(LISTS, self._rows(), "lists") if LISTS.exports(request) else super().get(request)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        text = "Make one below: of cards, users or addresses that your rules are to know."
        return {"table": LISTS.show(self.request, self._rows(), Empty("No lists yet", text)), "form": ListForm()}

    def post(self, request: HttpRequest) -> HttpResponse:
        form = ListForm(request.POST)
        if form.is_valid():
            try:
                made = services.create(livemode=self.livemode, now=self.now, **form.cleaned_data, **self.by)
                return redirect("list", made.name)
            except services.NameTaken:
                form.add_error("name", "There is a list of this name.")
            except services.TooMany as wrong:
                form.add_error(None, str(wrong))
        return self.page(**self.context() | {"form": form}, status=422)

    def _rows(self) -> list[ListRow]:
        with in_tenant(self.tenant):
            rows = list(reads.lists(self.livemode).order_by("name"))
        return [ListRow(row, services.rules_asking(self.tenant, row.name)) for row in rows]


class ListPage(_Lists):
    """One list: what is in it, and every change of it."""

    title, template = "List", "portal/pages/list.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        row = self.found(kwargs["name"])
        table = _items_table(row)
        if table.exports(request):
            return self.exported(table, reads.items(row, self.now), row.name, self._within)
        return super().get(request, *args, **kwargs)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        row = self.found(kwargs["name"])
        empty = Empty("This list is empty", f"It takes {TYPES[row.item_type].takes}.")
        return {
            "title": row.name,
            "list": row,
            "holds": TYPES[row.item_type],
            "rules": services.rules_asking(self.tenant, row.name),
            "table": _items_table(row).show(self.request, reads.items(row, self.now), empty, self._within),
            "form": ItemsForm(),
            "file_form": FileForm(),
        } | coming(self, row)

    def post(self, request: HttpRequest, name: str) -> HttpResponse:
        row = self.found(name)
        does = {"file": self._from_file, "remove": self._remove, "delete": self._delete}
        try:
            return does.get(request.POST.get("do", ""), self._add)(row)
        except services.Gone as gone:
            raise Http404 from gone

    def _add(self, row: ValueList) -> HttpResponse:
        """Values that were pasted: all of them, or none when one is wrong."""
        form = ItemsForm(self.request.POST)
        if form.is_valid():
            items, wrong = _pasted(row, form.cleaned_data, self.now)
            for problem in wrong[:SHOWN]:
                form.add_error("values", problem)
            if not wrong:
                try:
                    self._told(services.add_items(row=row, items=items, now=self.now, **self.by))
                    return redirect("list", row.name)
                except services.TooMany as full:
                    form.add_error(None, str(full))
        return self.page(**self.context(name=row.name) | {"form": form}, status=422)

    def _from_file(self, row: ValueList) -> HttpResponse:
        form = FileForm(self.request.POST, self.request.FILES)
        if form.is_valid():
            try:
                return self._taken(row, form.cleaned_data["file"])
            except (ValueError, services.TooMany) as wrong:
                form.add_error("file", str(wrong))
        return self.page(**self.context(name=row.name) | {"file_form": form}, status=422)

    def _taken(self, row: ValueList, file: Any) -> HttpResponse:
        """A file's items in force, or on their way. Raises `ValueError` in words, `services.TooMany`."""
        if file.size > MOST_BYTES:
            raise UnreadableList(f"The file has more than {MOST_MEGABYTES} MB.")
        items = FileOfItems(file, 0, file.size, file.name.lower().endswith(".csv"))
        lines = importing.count_lines(items)
        if lines > importing.AWAITED_LINES + 1:
            return self._kept(row, file, items, lines)
        found = importing.import_file(row=row, of=items, clock=timezone.now, **self.by)
        self._told(found.added)
        if not found.wrong:
            return redirect("list", row.name)
        more = {"wrong": found.problems[:SHOWN], "more": max(0, found.wrong - SHOWN)}
        return self.page(**self.context(name=row.name) | more)

    def _kept(self, row: ValueList, file: Any, items: FileOfItems, lines: int) -> HttpResponse:
        """Have a long file put in force in the background. Raises `ValueError` in words."""
        try:
            list_files.keep(
                tenant=self.tenant, row=row, received=Received(on_disk(file), 0, items.size, file.name, ""),
                is_csv=items.is_csv, lines=lines, now=self.now, actor=self.actor,
            )  # fmt: skip
        except OSError as full:
            raise UnreadableList("There is no room for the file at the moment. Try again later.") from full
        return redirect("list", row.name)

    def _remove(self, row: ValueList) -> HttpResponse:
        with in_tenant(self.tenant):
            item = reads.item(row, self.request.POST.get("item", ""), self.now)
        if item is None:
            raise Http404
        services.remove_items(row=row, tokens=[bytes(item.token)], now=self.now, **self.by)
        messages.success(self.request, f"{item.value} is out of the list.")
        return redirect("list", row.name)

    def _delete(self, row: ValueList) -> HttpResponse:
        try:
            services.delete(row=row, now=self.now, **self.by)
        except services.InUse as wrong:
            messages.error(self.request, f"These rules use it: {wrong}. Change or retire them first.")
            return redirect("list", row.name)
        messages.success(self.request, f"{row.name} is deleted.")
        return redirect("lists")

    def _told(self, added: Added) -> None:
        told = f"{added.added:,} added, {added.changed:,} changed, {added.unchanged:,} unchanged."
        messages.success(self.request, f"{told} In force now.")

    def _within(self) -> Any:
        return in_tenant(self.tenant)


def coming(page: _Lists, row: ValueList) -> dict[str, Any]:
    """The last long file that was sent for a list: how far it is, or what became of it."""
    found = list_files.newest(page.tenant.pk, row)
    if found is None:
        return {"import": None}
    stand = list_files.stand_of(found, page.valkey)
    more = {"under_way": found.state == found.State.QUEUED, "more_lines": max(0, found.wrong - SHOWN)}
    return {"list": row, "import": found, "stand": stand, "left_out": found.problems[:SHOWN], **more}


class ListProgress(_Lists):
    """The part of a list's page that asks, every two seconds, how far a file is."""

    template = "portal/parts/list_import.html"
    http_method_names = ["get", "head"]

    def context(self, **kwargs: Any) -> dict[str, Any]:
        return coming(self, self.found(kwargs["name"]))


class ListDecision(_Lists):
    """One of a decision's values into a list, from its page."""

    permission = Permission.LISTS
    http_method_names = ["post"]

    def post(self, request: HttpRequest, decision_id: str) -> HttpResponse:
        found = decisions.find(self.tenant.schema_name, self.livemode, decision_id)
        if found is None:
            raise Http404
        form = FromDecisionForm(request.POST, lists=self._lists(), facts=listable(found.facts, found.hidden))
        if not form.is_valid():
            messages.error(request, "Nothing was added: choose a list and a value.")
            return redirect("decision", decision_id)
        said = form.cleaned_data
        row = self.found(said["list"])
        item, wrong = read(row.item_type, GivenItem(str(found.facts[said["field"]]), None, said["note"]), self.now)
        if item is None:
            messages.error(request, f"{row.name}: {wrong[0].detail}")
        else:
            services.add_items(row=row, items=[item], now=self.now, **self.by)
            messages.success(request, f"{item.item.shown} is in {row.name} from now on.")
        return redirect("decision", decision_id)

    def _lists(self) -> list[ValueList]:
        with in_tenant(self.tenant):
            return list(reads.lists(self.livemode).order_by("name"))


def listable(facts: dict[str, Any], hidden: dict[str, str] | None) -> dict[str, Any]:
    """Of a decision's facts what can be put into a list: texts and whole numbers; not what is masked."""
    return {
        name: value
        for name, value in facts.items()
        if (isinstance(value, str) or type(value) is int) and name not in (hidden or {})
    }


def _items_table(row: ValueList) -> Table:
    """The table of a list's items: searched by value as rules do, masked ones too."""

    def matching(said: str, _: Any) -> Q:
        return Q(token__in=reads.tokens_of(row, said))

    return Table(
        row="portal/rows/list_item.html",
        key=("id",),
        filters=(Filter("q", "Value", matching),),
        columns=(
            Column("value", "Value", lambda item: item.value),
            Column("note", "Note", lambda item: item.note),
            Column("expires_at", "Until", lambda item: item.expires_at),
            Column("added_at", "Added", lambda item: item.added_at, ("id",)),
            Column("added_by", "By", lambda item: item.added_by),
        ),
    )


def _pasted(row: ValueList, said: dict[str, Any], now: Any) -> tuple[list[NewItem], list[str]]:
    """The items of pasted lines, and what is wrong with others."""
    lines = [line.strip() for line in said["values"].splitlines() if line.strip()]
    if len(lines) > MOST_PASTED:
        return [], [f"{len(lines):,} lines: paste up to {MOST_PASTED:,}, or send a file."]
    end = rfc3339(said["expires_at"]) if said["expires_at"] else None
    read_ones = [(line, *read(row.item_type, GivenItem(line, end, said["note"]), now)) for line in lines]
    return [item for _, item, _ in read_ones if item], [
        _in_words(line, errors) for line, item, errors in read_ones if not item
    ]


def _in_words(line: str, errors: list[FieldError]) -> str:
    said = card_numbers.cut(line, 40)
    return f"{said}: {errors[0].detail.removeprefix(_VALUE)}"
