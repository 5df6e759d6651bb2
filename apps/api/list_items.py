"""The doors of what is in a list: `/v1/lists/{list_name}/items`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Meta

from apps import paging
from apps.accounts.tenancy import in_tenant
from apps.api import operation as described
from apps.api.endpoint import json_answer
from apps.api.fields import Moment, NextCursor
from apps.api.lists import ListDoor, allowed, list_operation
from apps.api.operation import WITH_A_BODY, Answer, Operation, id_in_path, page_of, parameter
from apps.api.parameters import Query, page_in, query_of
from apps.errors import MOST_TOLD, FieldError, Problem, fields_invalid, read_all
from apps.scoring.lists import importing, reads, services
from apps.scoring.lists.given import GivenItem, NewItem, Value, read
from apps.scoring.lists.item_types import LONGEST_VALUE, NoItem, item_of
from apps.scoring.lists.services import Added
from apps.scoring.lists.tokens import token_of
from apps.scoring.models import ListItem, ValueList
from apps.times import rfc3339, rfc3339_or_none

#: Items of one JSON body.
MOST_AT_ONCE = 10_000
#: By what items are listed, newest first.
KEY = ("id",)


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


class RemovedItems(msgspec.Struct, frozen=True):
    """Items that are in the list no more, from the next request on."""

    object: Literal["list_change"]
    list: str
    removed: int


class ListItemsView(ListDoor):
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
        added = allowed(lambda: services.add_items(row=row, items=items, **self.change(admission)))
        return json_answer(added_items(row, added))

    def delete(self, request: HttpRequest, list_name: str) -> HttpResponse:
        value = self.understood(request, _one_value)
        admission = self.admit_only(request)
        row = self.found(admission, list_name)
        tokens = _tokens(row, [value], "value")
        removed = allowed(lambda: services.remove_items(row=row, tokens=tokens, **self.change(admission)))
        return json_answer(RemovedItems("list_change", row.name, removed))


class RemoveListItemsView(ListDoor):
    """POST: many values out of it."""

    endpoint = "list_remove"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, list_name: str) -> HttpResponse:
        asked = self.decoded(request, Values)
        admission = self.admit_only(request)
        row = self.found(admission, list_name)
        tokens = _tokens(row, asked.values, "values[{}]")
        removed = allowed(lambda: services.remove_items(row=row, tokens=tokens, **self.change(admission)))
        return json_answer(RemovedItems("list_change", row.name, removed))


class ListItemView(ListDoor):
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
        removed = allowed(lambda: services.remove_items(row=row, tokens=tokens, **self.change(admission)))
        return json_answer(RemovedItems("list_change", row.name, removed))


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


def _item(row: ListItem) -> ItemAnswer:
    return ItemAnswer(
        id=reads.id_of(row),
        object="list_item",
        value=row.value,
        expires_at=rfc3339_or_none(row.expires_at),
        note=row.note,
        added_at=rfc3339(row.added_at),
        added_by=row.added_by,
    )


def added_items(row: ValueList, added: Added) -> AddedItems:
    return AddedItems("list_change", row.name, added.added, added.changed, added.unchanged)


_ITEM = id_in_path("item_id", "The item's id.", "itm_42")
_VALUE = {"type": "string", "minLength": 1, "maxLength": 254}
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
_ITEMS_PATH = "/{list_name}/items"
OPERATIONS: Sequence[Operation] = (
    list_operation(
        "GET", _ITEMS_PATH, "listItems", "List or search items",
        "What is in force, the last added first. With `value` only what that value is in the list by: the networks an "
        "address lies in, too.",
        Answer(ItemPage, "A page of items."),
        parameters=(*page_of("Items"), parameter("value", "query", "Only what matches this value.", _VALUE)),
        problems=("field_invalid", "query_invalid", "cursor_invalid"),
    ),
    list_operation(
        "POST", _ITEMS_PATH, "addItems", "Add items",
        f"Up to {MOST_AT_ONCE:,}, all or none; in force from the next request on, in every process. Adding one again "
        "changes its expiry and note, or nothing. More at once: `/import`.",
        Answer(AddedItems, "What became of them."), body=described.Body(NewItems, _ITEMS),
        problems=(*WITH_A_BODY, "field_invalid", "limit_reached"),
    ),
    list_operation(
        "DELETE", _ITEMS_PATH, "removeItem", "Remove a value",
        "Out of the list from the next request on. Harmless when repeated.",
        Answer(RemovedItems, "How many items that were."),
        parameters=(parameter("value", "query", "Which.", _VALUE, required=True),),
        problems=("field_invalid", "query_invalid"),
    ),
    list_operation(
        "POST", f"{_ITEMS_PATH}/remove", "removeItems", "Remove many values", f"Up to {MOST_AT_ONCE:,}.",
        Answer(RemovedItems, "How many items that were."), body=described.Body(Values, _VALUES),
        problems=(*WITH_A_BODY, "field_invalid"),
    ),
    list_operation(
        "DELETE", f"{_ITEMS_PATH}/{{item_id}}", "removeItemById", "Remove an item",
        "By its id: of a masked one you may not know the value.",
        Answer(RemovedItems, "One."), parameters=(_ITEM,),
    ),
)  # fmt: skip
