"""The doors of `/v1/lists`: a tenant's lists, what is in each, and files of items."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import timezone
from msgspec import UNSET, Meta, UnsetType

from apps import paging, text
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api import operation as described
from apps.api import uploads
from apps.api.endpoint import MEGABYTE, ApiView, json_answer
from apps.api.fields import Moment, NextCursor
from apps.api.operation import WITH_A_BODY, Answer, Operation, id_in_path, operation, page_of, parameter
from apps.api.parameters import Query, page_in, query_of
from apps.api.response_headers import shielded, with_own
from apps.api.uploads import Sent
from apps.api_keys.gate import Admission, rate_headers
from apps.batches import list_files
from apps.batches.models import ListImport
from apps.batches.services import Received
from apps.batches.storage import StoreAway
from apps.decoding import Noticed, decode, without_cards
from apps.errors import MOST_TOLD, FieldError, Problem, fields_invalid, read_all
from apps.scoring.lists import importing, reads, services
from apps.scoring.lists.given import GivenItem, NewItem, UnreadableList, Value, read
from apps.scoring.lists.importing import FileOfItems
from apps.scoring.lists.item_types import LONGEST_VALUE, TYPES, NoItem, TypeName, item_of
from apps.scoring.lists.services import Added
from apps.scoring.lists.tokens import token_of
from apps.scoring.models import ListItem, ValueList
from apps.times import rfc3339
from apps.valkey import Valkey, server

#: Items of one JSON body.
MOST_AT_ONCE = 10_000
#: By what items are listed, newest first, and lists.
KEY, LISTS_KEY = ("id",), ("name",)
_FILES = {"text/csv": "csv", "text/plain": "text"}
#: Items of an export that are read in one query; what spreadsheets take for the beginning of a formula.
EXPORTED_AT_ONCE = 5_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_NAME_IS = re.compile("[a-z][a-z0-9_]{0,63}")

Result = TypeVar("Result")
ListName = Annotated[
    str,
    Meta(
        max_length=64,
        extra_json_schema={"pattern": "^[a-z][a-z0-9_]{0,63}$"},
        description="Rules ask for it by this name: `lists.trusted`. Small letters, digits and _, a letter first.",
    ),
]


class NewList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A list to be."""

    name: ListName
    item_type: Annotated[TypeName, Meta(description="What it holds: how values are read and compared.")]
    description: Annotated[str, Meta(max_length=200, description="For you.")] = ""


class ListAnswer(msgspec.Struct, frozen=True):
    """A list."""

    id: str
    object: Literal["list_definition"]
    livemode: bool
    name: str
    item_type: TypeName
    description: str
    items: Annotated[int, Meta(description="Those in it; of expired ones up to a day's are counted along.")]
    used_by: Annotated[list[str], Meta(description="Ids of live and shadow rules that ask for it.")]
    created_at: Moment
    created_by: str
    warnings: Noticed | UnsetType = UNSET


class ListPage(msgspec.Struct, frozen=True):
    """Lists, by their names."""

    object: Literal["list"]
    data: list[ListAnswer]
    has_more: bool
    next_cursor: NextCursor


class DeletedList(msgspec.Struct, frozen=True):
    """It is gone; decisions made by it stay."""

    name: str
    object: Literal["list_definition"]
    deleted: Literal[True]


class ItemAnswer(msgspec.Struct, frozen=True):
    """An item."""

    id: str
    object: Literal["list_item"]
    value: Annotated[str, Meta(description="As it is recognised; cards, users and e-mail addresses are masked.")]
    expires_at: Moment | None
    note: str
    added_at: Moment
    added_by: Annotated[str, Meta(description="key:<id> or user:<e-mail>.")]


class ItemPage(msgspec.Struct, frozen=True):
    """Items in force, the last added first."""

    object: Literal["list"]
    data: list[ItemAnswer]
    has_more: bool
    next_cursor: NextCursor


class NewItems(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Items to be: all of them, or none when one is wrong."""

    items: Annotated[list[GivenItem], Meta(min_length=1, max_length=MOST_AT_ONCE)]


class Values(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values to be taken out."""

    values: Annotated[list[Value | int], Meta(min_length=1, max_length=MOST_AT_ONCE)]


class LineProblem(msgspec.Struct, frozen=True):
    """A line that was left out."""

    line: Annotated[int, Meta(description="From 1.")]
    param: str
    detail: str


class AddedItems(msgspec.Struct, frozen=True):
    """What became of items. They are in force from the next request on."""

    object: Literal["list_change"]
    list: str
    added: int
    changed: Annotated[int, Meta(description="They were there, with another expiry or note.")]
    unchanged: Annotated[int, Meta(description="They were there as they are.")]
    wrong: Annotated[int, Meta(description="Lines of a file that were left out.")] = 0
    problems: Annotated[tuple[LineProblem, ...], Meta(description=f"The first {importing.MOST_TOLD} of them.")] = ()


class ListImportAnswer(msgspec.Struct, frozen=True):
    """A long file of items. In force, all at once, when it is completed."""

    id: str
    object: Literal["list_import"]
    list: str
    state: Literal["queued", "running", "completed", "failed"]
    progress: Annotated[int, Meta(ge=0, le=100, description="Percent of the lines that were read.")]
    lines: Annotated[int, Meta(description="Of the file.")]
    added: int
    changed: Annotated[int, Meta(description="They were there, with another expiry or note.")]
    unchanged: Annotated[int, Meta(description="They were there as they are.")]
    wrong: Annotated[int, Meta(description="Lines of the file that were left out.")]
    problems: Annotated[tuple[LineProblem, ...], Meta(description=f"The first {importing.MOST_TOLD} of them.")]
    reason: Annotated[str, Meta(description="Why it failed: nothing of it is in force.")]
    created_at: Moment
    finished_at: Moment | None


class RemovedItems(msgspec.Struct, frozen=True):
    """Items that are in the list no more, from the next request on."""

    object: Literal["list_change"]
    list: str
    removed: int


class _ListsView(ApiView):
    """Reading takes `read`; whatever changes something takes `admin`."""

    scopes: ClassVar = {"GET": "read", "POST": "admin", "DELETE": "admin"}
    http_method_names = ["get", "head", "post", "delete"]

    @property
    def valkey(self) -> Valkey:
        return server(settings.REDIS_URL, settings.REDIS_TIMEOUT)

    def found(self, admission: Admission, name: str) -> ValueList:
        """The list of that name in the mode of the key. Raises `Problem`."""
        row = reads.find(admission.tenant_schema, self.key.livemode, name)
        if row is None:
            raise Problem("not_found", f"There is no list '{name[:64]}' in this mode.")
        return row

    def change(self, admission: Admission) -> dict[str, Any]:
        """Whose list is changed by whom, when, and who is told."""
        tenant = Tenant.objects.get(pk=admission.tenant_id)
        return {"tenant": tenant, "valkey": self.valkey, "now": self.now, "actor": admission.actor}


class ListsView(_ListsView):
    """GET: the lists. POST: a new one."""

    endpoint = "lists"

    def get(self, request: HttpRequest) -> HttpResponse:
        limit, cursor = self.understood(request, lambda asked: page_in(query_of(asked.META)))
        admission = self.admit_only(request)
        tenant = Tenant.objects.get(pk=admission.tenant_id)
        with in_tenant(tenant):
            page = paging.page_of(reads.lists(self.key.livemode), LISTS_KEY, cursor, limit, rising=True)
        data = [_list(row, services.rules_asking(tenant, row.name)) for row in page.rows]
        return json_answer(ListPage("list", data, page.next_cursor is not None, page.next_cursor))

    def post(self, request: HttpRequest) -> HttpResponse:
        asked, warnings = self.understood(request, self._asked)
        admission = self.admit_only(request)
        said = msgspec.structs.asdict(asked)
        made = _allowed(lambda: services.create(livemode=self.key.livemode, **said, **self.change(admission)))
        return json_answer(msgspec.structs.replace(_list(made, []), warnings=warnings or UNSET))

    def _asked(self, request: HttpRequest) -> tuple[NewList, tuple[str, ...]]:
        """The list to be, and what was noticed. Raises `Problem`."""
        asked = decode(self.read_body(request), NewList)
        if not _NAME_IS.fullmatch(asked.name):
            takes = "takes small letters, digits and _, a letter first, such as trusted_cards"
            raise Problem("field_invalid", f"'name' {takes}.", "name")
        if never := text.forbidden(asked.description):
            raise Problem("field_invalid", f"'description' {never}.", "description")
        return without_cards(asked)


class ListView(_ListsView):
    """GET, DELETE one."""

    endpoint = "list"

    def get(self, request: HttpRequest, list_name: str) -> HttpResponse:
        admission = self.admit_only(request)
        row = self.found(admission, list_name)
        return json_answer(_list(row, services.rules_asking(Tenant.objects.get(pk=admission.tenant_id), row.name)))

    def delete(self, request: HttpRequest, list_name: str) -> HttpResponse:
        admission = self.admit_only(request)
        row = self.found(admission, list_name)
        _allowed(lambda: services.delete(row=row, **self.change(admission)))
        return json_answer(DeletedList(row.name, "list_definition", True))


class ListItemsView(_ListsView):
    """GET: what is in force. POST: more of it. DELETE: one value out of it."""

    endpoint = "list_items"

    def get(self, request: HttpRequest, list_name: str) -> HttpResponse:
        (limit, cursor), value = self.understood(request, _searched)
        row = self.found(self.admit_only(request), list_name)
        with in_tenant(self.tenant_schema):
            rows = reads.items(row, self.now) if value is None else reads.holding(row, value, self.now)
            page = paging.page_of(rows, KEY, cursor, limit)
        data = [_item(one) for one in page.rows]
        return json_answer(ItemPage("list", data, page.next_cursor is not None, page.next_cursor))

    def post(self, request: HttpRequest, list_name: str) -> HttpResponse:
        asked = self.decoded(request, NewItems)
        admission = self.admit_only(request)
        row = self.found(admission, list_name)
        items = _read(row, asked.items, self.now)
        added = _allowed(lambda: services.add_items(row=row, items=items, **self.change(admission)))
        return json_answer(_added(row, added))

    def delete(self, request: HttpRequest, list_name: str) -> HttpResponse:
        value = self.understood(request, _one_value)
        admission = self.admit_only(request)
        row = self.found(admission, list_name)
        tokens = _tokens(row, [value], "value")
        removed = _allowed(lambda: services.remove_items(row=row, tokens=tokens, **self.change(admission)))
        return json_answer(RemovedItems("list_change", row.name, removed))


class RemoveListItemsView(_ListsView):
    """POST: many values out of it."""

    endpoint = "list_remove"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, list_name: str) -> HttpResponse:
        asked = self.decoded(request, Values)
        admission = self.admit_only(request)
        row = self.found(admission, list_name)
        tokens = _tokens(row, asked.values, "values[{}]")
        removed = _allowed(lambda: services.remove_items(row=row, tokens=tokens, **self.change(admission)))
        return json_answer(RemovedItems("list_change", row.name, removed))


class ListItemView(_ListsView):
    """DELETE one item by its id: of a masked one nobody knows the value."""

    endpoint = "list_item"
    http_method_names = ["delete"]

    def delete(self, request: HttpRequest, list_name: str, item_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        row = self.found(admission, list_name)
        with in_tenant(admission.tenant_schema):
            item = reads.item(row, item_id, self.now)
        if item is None:
            raise Problem("not_found")
        tokens = [bytes(item.token)]
        removed = _allowed(lambda: services.remove_items(row=row, tokens=tokens, **self.change(admission)))
        return json_answer(RemovedItems("list_change", row.name, removed))


class ListImportView(_ListsView):
    """POST: a file of items."""

    endpoint = "list_import"
    http_method_names = ["post"]
    takes_uploads = True
    body_limit = importing.MOST_BYTES + MEGABYTE  # a form's head beside the file

    def post(self, request: HttpRequest, list_name: str) -> HttpResponse:
        try:
            sent = self.understood(request, _file)
            admission = self.admit_only(request)
            row = self.found(admission, list_name)
            return self._taken(sent, row, admission)
        finally:
            uploads.discard(request)

    def _taken(self, sent: Sent, row: ValueList, admission: Admission) -> HttpResponse:
        is_csv = "csv" in (sent.format, sent.filename.rpartition(".")[2].lower())
        with sent.path.open("rb") as file:
            items = FileOfItems(file, sent.offset, sent.size, is_csv)
            lines = _length_of(items)
            if lines <= importing.AWAITED_LINES + 1:
                return json_answer(self._imported(items, row, admission))
        return self._kept(sent, row, is_csv, lines, admission)

    def _imported(self, items: FileOfItems, row: ValueList, admission: Admission) -> AddedItems:
        change = self.change(admission) | {"clock": timezone.now}
        del change["now"]
        found = _allowed(lambda: importing.import_file(row=row, of=items, **change))
        problems = [LineProblem(line.number, *line.problem) for line in found.problems if line.problem is not None]
        return msgspec.structs.replace(_added(row, found.added), wrong=found.wrong, problems=tuple(problems))

    def _kept(self, sent: Sent, row: ValueList, is_csv: bool, lines: int, admission: Admission) -> HttpResponse:
        """Have a long file put in force in the background."""
        received = Received(sent.path, sent.offset, sent.size, sent.filename, sent.format)
        change = self.change(admission)
        del change["valkey"]
        try:
            made = list_files.keep(row=row, received=received, is_csv=is_csv, lines=lines, **change)
        except list_files.TooManyWaiting as wrong:
            raise Problem("limit_reached", str(wrong)) from wrong
        except StoreAway as away:
            raise Problem("stores_away", retry_after=2.0) from away
        except OSError as full:
            raise Problem("storage_full") from full
        answer = json_answer(_import(made, self.valkey))
        answer.status_code = 202
        return answer


class ListImportStateView(_ListsView):
    """GET: how far a long file is."""

    endpoint = "list_imports"
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, list_name: str, import_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        row = self.found(admission, list_name)
        found = list_files.find(admission.tenant_id, row, import_id)
        if found is None:
            raise Problem("not_found")
        return json_answer(_import(found, self.valkey))


class ListExportView(_ListsView):
    """GET: what is in force, as CSV."""

    endpoint = "list_export"
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, list_name: str) -> Any:
        row = self.found(self.admit_only(request), list_name)
        headers = {"Content-Disposition": f'attachment; filename="{row.name}.csv"'}
        pieces = _as_csv(self.tenant_schema, row, self.now)
        return StreamingHttpResponse(pieces, content_type="text/csv; charset=utf-8", headers=headers)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        if not response.streaming:
            return super().finalize_response(request, response, *args, **kwargs)
        own = {"X-Request-Id": self.request_id}
        return with_own(shielded(response), own if self.rate is None else own | rate_headers(self.rate))


# --- how ------------------------------------------------------------------------------------------------------------


def _searched(request: HttpRequest) -> tuple[tuple[int, str | None], str | None]:
    query = query_of(request.META)
    page, value = read_all(lambda: page_in(query), lambda: _value_in(query))
    return page, value


def _value_in(query: Query) -> str | None:
    """The value that is asked for. Raises `Problem` for one no item can have."""
    value = query.get("value")
    if value is not None and not 0 < len(value) <= LONGEST_VALUE:
        raise Problem("field_invalid", f"'value' takes 1 to {LONGEST_VALUE} characters.", "value")
    return value


def _one_value(request: HttpRequest) -> str:
    value = _value_in(query_of(request.META))
    if value is None:
        raise Problem("field_invalid", "Say which value as ?value=…; many at once: POST …/items/remove.", "value")
    return value


def _read(row: ValueList, given: Sequence[GivenItem], now: datetime) -> list[NewItem]:
    """The items of a body. Raises `Problem` naming what is wrong with each."""
    items: list[NewItem] = []
    errors: list[FieldError] = []
    for place, one in enumerate(given):
        item, wrong = read(row.item_type, one, now)
        errors += [FieldError(f"items[{place}].{error.param}", error.detail) for error in wrong]
        items += [item] if item else []
    if errors:
        raise fields_invalid(errors[:MOST_TOLD])
    return items


def _tokens(row: ValueList, values: Sequence[str | int], param: str) -> list[bytes]:
    """The tokens of items that are to go. Raises `Problem` for what can be none of the list's."""
    found, errors = [], []
    for place, value in enumerate(values):
        try:
            found.append(token_of(item_of(row.item_type, value).name))
        except NoItem as wrong:
            errors.append(FieldError(param.format(place), f"'value' {wrong}."))
    if errors:
        raise fields_invalid(errors[:MOST_TOLD])
    return found


def _file(request: HttpRequest) -> Sent:
    """The file that came. Raises `Problem`."""
    sent = uploads.sent_file(request, _FILES)
    if sent.size > importing.MOST_BYTES:
        raise Problem("body_too_large", f"The file has {sent.size:,} bytes; 100 MB is the most.")
    if not sent.size:
        raise Problem("file_unreadable", "The file is empty.")
    return sent


def _length_of(items: FileOfItems) -> int:
    """How many lines a file has. Raises `Problem` for more than a list may hold."""
    try:
        return importing.count_lines(items)
    except importing.TooLong as wrong:
        raise Problem("body_too_large", str(wrong)) from wrong


def _as_csv(tenant_schema: str, row: ValueList, now: datetime) -> Iterator[bytes]:
    """The items in force, some at a time; what another program would take for a formula is quoted."""
    yield b"value,expires_at,note,added_at,added_by\r\n"
    last = None
    while True:
        with in_tenant(tenant_schema):
            page = paging.page_of(reads.items(row, now), KEY, last, EXPORTED_AT_ONCE)
        out = io.StringIO()
        writer = csv.writer(out)
        for item in page.rows:
            cells = [item.value, _at(item.expires_at) or "", item.note, rfc3339(item.added_at), item.added_by]
            writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
        yield out.getvalue().encode()
        last = page.next_cursor
        if last is None:
            return


def _allowed(do: Callable[[], Result]) -> Result:
    """What a change comes to. Raises `Problem` where it may not be."""
    try:
        return do()
    except services.NameTaken as wrong:
        raise Problem("name_taken", f"There is a list '{wrong}' already.", "name") from wrong
    except services.TooMany as wrong:
        raise Problem("limit_reached", str(wrong)) from wrong
    except services.InUse as wrong:
        raise Problem("list_in_use", f"Rules in force ask for it: {wrong}.") from wrong
    except services.Gone as wrong:
        raise Problem("not_found") from wrong
    except UnreadableList as wrong:
        raise Problem("file_unreadable", str(wrong)) from wrong


def _list(row: ValueList, used_by: list[str]) -> ListAnswer:
    return ListAnswer(
        id=row.pk,
        object="list_definition",
        livemode=row.livemode,
        name=row.name,
        item_type=row.item_type,  # type: ignore[arg-type]  # what was kept was one of these
        description=row.description,
        items=row.size,
        used_by=used_by,
        created_at=rfc3339(row.created_at),
        created_by=row.created_by,
    )


def _item(row: ListItem) -> ItemAnswer:
    return ItemAnswer(
        id=reads.id_of(row),
        object="list_item",
        value=row.value,
        expires_at=_at(row.expires_at),
        note=row.note,
        added_at=rfc3339(row.added_at),
        added_by=row.added_by,
    )


def _added(row: ValueList, added: Added) -> AddedItems:
    return AddedItems("list_change", row.name, added.added, added.changed, added.unchanged)


def _import(row: ListImport, valkey: Valkey) -> ListImportAnswer:
    stand = list_files.stand_of(row, valkey)
    return ListImportAnswer(
        id=row.pk,
        object="list_import",
        list=row.list_name,
        state=stand.state,  # type: ignore[arg-type]  # one of these
        progress=stand.percent,
        lines=row.lines,
        added=row.added,
        changed=row.changed,
        unchanged=row.unchanged,
        wrong=row.wrong,
        problems=tuple(LineProblem(*one) for one in row.problems),
        reason=row.reason,
        created_at=rfc3339(row.created_at),
        finished_at=_at(row.finished_at),
    )


def _at(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


TAG = "Lists"
_NAME = parameter(
    "list_name", "path", "The list's name.", {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$"}, required=True,
    example="mules",
)  # fmt: skip
_ITEM = id_in_path("item_id", "The item's id.", "itm_42")
_IMPORT = id_in_path("import_id", "The file's id, as the import answered it.", "lim_019aa5d0c2f75d1e0b7c4a9f")
_VALUE = {"type": "string", "minLength": 1, "maxLength": 254}
_TYPES = "; ".join(f"`{name}`: {one.takes}" for name, one in TYPES.items())
_NEW = {
    "mules": {"summary": "Accounts that are used for stolen money", "value": {"name": "mules", "item_type": "user"}},
    "offices": {
        "summary": "Addresses of your own",
        "value": {"name": "offices", "item_type": "ip", "description": "Never reviewed"},
    },
}
_ITEMS = {
    "some": {
        "summary": "Two, one of them for a time",
        "value": {
            "items": [
                {"value": "U-1001", "note": "chargeback of May"},
                {"value": "U-1002", "expires_at": "2027-06-01T00:00:00Z"},
            ]
        },
    }
}
_VALUES = {"some": {"summary": "Two of them", "value": {"values": ["U-1001", "U-1002"]}}}
_FORM = {
    "type": "object",
    "properties": {
        "file": {"type": "string", "contentMediaType": "application/octet-stream", "description": "The items."}
    },
    "required": ["file"],
    "additionalProperties": False,
}


def _operation(
    method: str, path: str, name: str, summary: str, description: str, answer: Answer, **more: Any
) -> Operation:
    scope = "read" if method == "GET" else "admin"
    more["parameters"] = (*([_NAME] if "{list_name}" in path else []), *more.get("parameters", ()))
    problems = (*more.pop("problems", ()), *(["not_found"] if "{list_name}" in path else []))
    return operation(TAG, method, f"/v1/lists{path}", name, summary, description, answer, scope,
                     problems=problems, **more)  # fmt: skip


_ITEMS_PATH = "/{list_name}/items"
OPERATIONS: Sequence[Operation] = (
    _operation(
        "POST", "", "createList", "Create a list",
        "Rules ask for it by its name: `user_id in lists.mules`. A live key makes live lists, a test key test ones; "
        f"a rule asks for the one of its decision's mode. Types: {_TYPES}. Values are compared without case and spaces "
        "around them; cards, users and e-mail addresses are kept as keyed hashes and shown masked.",
        Answer(ListAnswer, "The list, still empty."),
        body=described.Body(NewList, _NEW),
        problems=(*WITH_A_BODY, "field_invalid", "name_taken", "limit_reached"),
    ),
    _operation(
        "GET", "", "listLists", "List lists", "By their names, with the rules that ask for each.",
        Answer(ListPage, "A page of lists."), parameters=page_of("Lists"),
        problems=("field_invalid", "query_invalid", "cursor_invalid"),
    ),
    _operation("GET", "/{list_name}", "getList", "Read a list", "How many items, and which rules ask for it.",
               Answer(ListAnswer, "The list.")),
    _operation(
        "DELETE", "/{list_name}", "deleteList", "Delete a list",
        "One that no live or shadow rule asks for. What was decided by it can still be replayed.",
        Answer(DeletedList, "It is gone."), problems=("list_in_use",),
    ),
    _operation(
        "GET", _ITEMS_PATH, "listItems", "List or search items",
        "What is in force, the last added first. With `value` only what that value is in the list by: the networks an "
        "address lies in, too.",
        Answer(ItemPage, "A page of items."),
        parameters=(*page_of("Items"), parameter("value", "query", "Only what matches this value.", _VALUE)),
        problems=("field_invalid", "query_invalid", "cursor_invalid"),
    ),
    _operation(
        "POST", _ITEMS_PATH, "addItems", "Add items",
        f"Up to {MOST_AT_ONCE:,}, all or none; in force from the next request on, in every process. Adding one again "
        "changes its expiry and note, or nothing. More at once: `/import`.",
        Answer(AddedItems, "What became of them."), body=described.Body(NewItems, _ITEMS),
        problems=(*WITH_A_BODY, "field_invalid", "limit_reached"),
    ),
    _operation(
        "DELETE", _ITEMS_PATH, "removeItem", "Remove a value",
        "Out of the list from the next request on. Harmless when repeated.",
        Answer(RemovedItems, "How many items that were."),
        parameters=(parameter("value", "query", "Which.", _VALUE, required=True),),
        problems=("field_invalid", "query_invalid"),
    ),
    _operation(
        "POST", f"{_ITEMS_PATH}/remove", "removeItems", "Remove many values", f"Up to {MOST_AT_ONCE:,}.",
        Answer(RemovedItems, "How many items that were."), body=described.Body(Values, _VALUES),
        problems=(*WITH_A_BODY, "field_invalid"),
    ),
    _operation(
        "DELETE", f"{_ITEMS_PATH}/{{item_id}}", "removeItemById", "Remove an item",
        "By its id: of a masked one you may not know the value.",
        Answer(RemovedItems, "One."), parameters=(_ITEM,),
    ),
    _operation(
        "POST", "/{list_name}/import", "importItems", "Add a file of items",
        "As the body (`Content-Type: text/csv`, `text/plain`) or as the part `file` of a form: CSV whose first line "
        "names the columns (value, expires_at, note), or a value a line. Up to as many as a list may hold, "
        f"{importing.MOST_LINES:,}. A file of up to {importing.AWAITED_LINES:,} lines is answered when it is in force "
        "(200); a longer one is put in force in the background (202): ask `getListImport` how far it is. Either way "
        "its items are in force at one moment, or none when the file can't be read. A wrong line is left out and told. "
        "Sending a file again is harmless.",
        Answer(AddedItems | ListImportAnswer, "What became of the lines (200), or a file that waits (202).",
               statuses=("200", "202")),
        body=described.Body(_FORM, media_type=uploads.FORM, files=tuple(_FILES)),
        problems=("media_type_unsupported", "body_too_large", "file_missing", "file_unreadable", "form_malformed",
                  "storage_full", "limit_reached", "field_invalid"),
    ),
    _operation(
        "GET", "/{list_name}/imports/{import_id}", "getListImport", "Read how far a file of items is",
        "Of a file that is put in force in the background: its state, and in the end what became of its lines. Told "
        f"for {list_files.KEPT.days} days.",
        Answer(ListImportAnswer, "The file."), parameters=(_IMPORT,),
    ),
    _operation(
        "GET", "/{list_name}/export", "exportItems", "Read all items as CSV", "What is in force, the last added first.",
        Answer({"type": "string"}, "The items.", media_type="text/csv"),
    ),
)  # fmt: skip
