"""The doors of `/v1/lists`: a tenant's lists. What is in each has doors of its own (list_items, list_files)."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from msgspec import UNSET, Meta, UnsetType

from apps import paging, text
from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api import operation as described
from apps.api.endpoint import ApiView, json_answer
from apps.api.fields import Moment, NextCursor
from apps.api.operation import WITH_A_BODY, Answer, Operation, operation, page_of, parameter
from apps.api.parameters import page_in, query_of
from apps.api_keys.gate import Admission
from apps.decoding import Noticed, decode, without_cards
from apps.errors import Problem
from apps.scoring.lists import reads, services
from apps.scoring.lists.given import UnreadableList
from apps.scoring.lists.item_types import TYPES, TypeName
from apps.scoring.models import ValueList
from apps.times import rfc3339
from apps.valkey import Valkey, server

#: By what lists are listed.
KEY = ("name",)
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


class ListDoor(ApiView):
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


class ListsView(ListDoor):
    """GET: the lists. POST: a new one."""

    endpoint = "lists"

    def get(self, request: HttpRequest) -> HttpResponse:
        limit, cursor = self.understood(request, lambda asked: page_in(query_of(asked.META)))
        admission = self.admit_only(request)
        tenant = Tenant.objects.get(pk=admission.tenant_id)
        with in_tenant(tenant):
            page = paging.page_of(reads.lists(self.key.livemode), KEY, cursor, limit, rising=True)
        data = [_list(row, services.rules_asking(tenant, row.name)) for row in page.rows]
        return json_answer(ListPage("list", data, page.next_cursor is not None, page.next_cursor))

    def post(self, request: HttpRequest) -> HttpResponse:
        asked, warnings = self.understood(request, self._asked)
        admission = self.admit_only(request)
        said = msgspec.structs.asdict(asked)
        made = allowed(lambda: services.create(livemode=self.key.livemode, **said, **self.change(admission)))
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


class ListView(ListDoor):
    """GET, DELETE one."""

    endpoint = "list"

    def get(self, request: HttpRequest, list_name: str) -> HttpResponse:
        admission = self.admit_only(request)
        row = self.found(admission, list_name)
        return json_answer(_list(row, services.rules_asking(Tenant.objects.get(pk=admission.tenant_id), row.name)))

    def delete(self, request: HttpRequest, list_name: str) -> HttpResponse:
        admission = self.admit_only(request)
        row = self.found(admission, list_name)
        allowed(lambda: services.delete(row=row, **self.change(admission)))
        return json_answer(DeletedList(row.name, "list_definition", True))


# --- how ------------------------------------------------------------------------------------------------------------


def allowed(do: Callable[[], Result]) -> Result:
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


TAG = "Lists"
_NAME = parameter(
    "list_name", "path", "The list's name.", {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$"}, required=True,
    example="mules",
)  # fmt: skip
_TYPES = "; ".join(f"`{name}`: {one.takes}" for name, one in TYPES.items())
_NEW = {
    "mules": {"summary": "Accounts that are used for stolen money", "value": {"name": "mules", "item_type": "user"}},
    "offices": {
        "summary": "Addresses of your own",
        "value": {"name": "offices", "item_type": "ip", "description": "Never reviewed"},
    },
}


def list_operation(
    method: str, path: str, name: str, summary: str, description: str, answer: Answer, **more: Any
) -> Operation:
    scope = "read" if method == "GET" else "admin"
    more["parameters"] = (*([_NAME] if "{list_name}" in path else []), *more.get("parameters", ()))
    problems = (*more.pop("problems", ()), *(["not_found"] if "{list_name}" in path else []))
    return operation(TAG, method, f"/v1/lists{path}", name, summary, description, answer, scope,
                     problems=problems, **more)  # fmt: skip


OPERATIONS: Sequence[Operation] = (
    list_operation(
        "POST", "", "createList", "Create a list",
        "Rules ask for it by its name: `user_id in lists.mules`. A live key makes live lists, a test key test ones; "
        f"a rule asks for the one of its decision's mode. Types: {_TYPES}. Values are compared without case and spaces "
        "around them; cards, users and e-mail addresses are kept as keyed hashes and shown masked.",
        Answer(ListAnswer, "The list, still empty."),
        body=described.Body(NewList, _NEW),
        problems=(*WITH_A_BODY, "field_invalid", "name_taken", "limit_reached"),
    ),
    list_operation(
        "GET", "", "listLists", "List lists", "By their names, with the rules that ask for each.",
        Answer(ListPage, "A page of lists."), parameters=page_of("Lists"),
        problems=("field_invalid", "query_invalid", "cursor_invalid"),
    ),
    list_operation("GET", "/{list_name}", "getList", "Read a list", "How many items, and which rules ask for it.",
               Answer(ListAnswer, "The list.")),
    list_operation(
        "DELETE", "/{list_name}", "deleteList", "Delete a list",
        "One that no live or shadow rule asks for. What was decided by it can still be replayed.",
        Answer(DeletedList, "It is gone."), problems=("list_in_use",),
    ),
)  # fmt: skip
