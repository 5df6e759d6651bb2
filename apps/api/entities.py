"""The doors by which data goes: one person's, everywhere (`/v1/entities`), and what is old (`/v1/retention`)."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from msgspec import UNSET, Meta, UnsetType

from apps import paging, text
from apps.accounts.models import Tenant
from apps.api import operation as described
from apps.api.endpoint import ApiView, json_answer
from apps.api.fields import Moment, NextCursor
from apps.api.operation import WITH_A_BODY, Answer, Operation, id_in_path, operation, page_of, parameter
from apps.api.parameters import page_in, query_of, quoted
from apps.errors import Problem
from apps.offboarding import erasures, retention
from apps.offboarding.models import Erasure
from apps.offboarding.persons import KINDS, Person
from apps.offboarding.retention import MOST_DAYS
from apps.times import rfc3339, rfc3339_or_none
from apps.valkey import server

#: By what receipts are listed, newest first.
KEY = ("asked_at", "id")
LONGEST_NAME = 300


class ErasureReceipt(msgspec.Struct, frozen=True):
    """What was removed of one person. It does not say who."""

    id: str
    object: Literal["erasure"]
    kind: str
    person_hash: Annotated[str, Meta(description="Keyed hash of kind and name: the same for the same person.")]
    state: Annotated[
        Literal["holding", "completed"],
        Meta(description="holding: something sent before is still being written; swept again each minute until then."),
    ]
    waits_for: Annotated[list[str], Meta(description="What is still being written.")]
    asked_at: Moment
    completed_at: Moment | None
    removed: Annotated[dict[str, int], Meta(description="How much, by place.")]
    digest: Annotated[str | None, Meta(description="SHA-256 over what was removed; null when there was nothing.")]


class ErasurePage(msgspec.Struct, frozen=True):
    """Receipts, newest first."""

    object: Literal["list"]
    data: list[ErasureReceipt]
    has_more: bool
    next_cursor: NextCursor


def _days(least: int, words: str) -> Meta:
    return Meta(ge=least, le=MOST_DAYS, description=f"{words}: days they are kept; null for as long as you are here.")


_KEPT = retention.KINDS
_Decisions = Annotated[int, _days(_KEPT["decisions"].least_days, _KEPT["decisions"].words)]
_Labels = Annotated[int, _days(_KEPT["labels"].least_days, _KEPT["labels"].words)]
_Lists = Annotated[int, _days(_KEPT["lists"].least_days, _KEPT["lists"].words)]
_Cases = Annotated[int, _days(_KEPT["cases"].least_days, _KEPT["cases"].words)]
_Predictions = Annotated[int, _days(_KEPT["predictions"].least_days, _KEPT["predictions"].words)]
_Quality = Annotated[int, _days(_KEPT["data_quality"].least_days, _KEPT["data_quality"].words)]


class RetentionChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shall change; what is left out stays."""

    decisions: _Decisions | UnsetType | None = UNSET
    labels: _Labels | UnsetType | None = UNSET
    lists: _Lists | UnsetType | None = UNSET
    cases: _Cases | UnsetType | None = UNSET
    predictions: _Predictions | UnsetType | None = UNSET
    data_quality: _Quality | UnsetType | None = UNSET


class RetentionSettings(msgspec.Struct, frozen=True):
    """How long what is kept. What is older is removed by night; the money's books never are."""

    object: Literal["retention"]
    decisions: _Decisions | None
    labels: _Labels | None
    lists: _Lists | None
    cases: _Cases | None
    predictions: _Predictions | None
    data_quality: _Quality | None


class EntityView(ApiView):
    """DELETE: remove one person's data, live and test, everywhere."""

    endpoint = "entity"
    scopes: ClassVar = {"DELETE": "admin"}
    http_method_names = ["delete"]

    def delete(self, request: HttpRequest, kind: str, entity_id: str) -> HttpResponse:
        person = self.understood(request, lambda _: _person(kind, entity_id))
        admission = self.admit_live(request)
        receipt = erasures.erase(
            tenant=Tenant.objects.get(pk=admission.tenant_id),
            person=person,
            valkey=server(settings.REDIS_URL, settings.REDIS_TIMEOUT),
            now=self.now,
            actor=admission.actor,
        )
        return json_answer(_receipt(receipt))


class ErasuresView(ApiView):
    """GET: the receipts."""

    endpoint = "erasures"

    def get(self, request: HttpRequest) -> HttpResponse:
        limit, cursor = self.understood(request, lambda request: page_in(query_of(request.META)))
        admission = self.admit_only(request)
        page = paging.page_of(Erasure.objects.filter(tenant_id=admission.tenant_id), KEY, cursor, limit)
        data = [_receipt(row) for row in page.rows] if self.key.livemode else []
        return json_answer(ErasurePage("list", data, page.next_cursor is not None, page.next_cursor))


class ErasureView(ApiView):
    """GET: one receipt."""

    endpoint = "erasure"

    def get(self, request: HttpRequest, erasure_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        row = Erasure.objects.filter(pk=erasure_id, tenant_id=admission.tenant_id).first()
        if row is None or not self.key.livemode:
            raise Problem("not_found")
        return json_answer(_receipt(row))


class RetentionView(ApiView):
    """GET: how long what is kept. POST: change it."""

    endpoint = "retention"
    scopes: ClassVar = {"GET": "read", "POST": "admin"}

    def get(self, request: HttpRequest) -> HttpResponse:
        admission = self.admit_only(request)
        return json_answer(RetentionSettings("retention", **retention.of(Tenant(pk=admission.tenant_id))))

    def post(self, request: HttpRequest) -> HttpResponse:
        asked = self.decoded(request, RetentionChange)
        admission = self.admit_live(request)
        days = {name: value for name, value in msgspec.structs.asdict(asked).items() if value is not UNSET}
        tenant = Tenant.objects.get(pk=admission.tenant_id)
        after = retention.change(tenant=tenant, days=days, now=self.now, actor=admission.actor)
        return json_answer(RetentionSettings("retention", **after))


def _person(kind: str, name: str) -> Person:
    """Who is meant. Raises `Problem`."""
    if kind not in KINDS:
        raise Problem("field_invalid", f"'kind' takes one of {', '.join(KINDS)}; not {quoted(kind)}.", "kind")
    if len(name) > LONGEST_NAME or (why := text.refusal(name)):
        why = f"has more than {LONGEST_NAME} characters" if len(name) > LONGEST_NAME else why
        raise Problem("field_invalid", f"The id {why}.", "entity_id")
    return Person(kind, name)


def _receipt(row: Erasure) -> ErasureReceipt:
    return ErasureReceipt(
        id=row.pk,
        object="erasure",
        kind=row.kind,
        person_hash=row.person_hash,
        state=row.state,  # type: ignore[arg-type]  # Django's choices are the literal's
        waits_for=row.waits_for.split(", ") if row.waits_for else [],
        asked_at=rfc3339(row.asked_at),
        completed_at=rfc3339_or_none(row.completed_at),
        removed=row.removed,
        digest=row.digest or None,
    )


TAG = "Data"
_KIND = parameter(
    "kind", "path", "What they are in your transactions.", {"enum": list(KINDS)}, required=True, example="user"
)
_ENTITY = parameter(
    "entity_id",
    "path",
    "Their id as your transactions have it, percent-encoded.",
    {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME, "pattern": "^[^/]+$"},
    required=True,
    example="U123",
)
_ERASURE = id_in_path("erasure_id", "The receipt's id.", "era_019aa5d0c2f75d1e0b7c4a9f")
_FIELDS = "; ".join(
    f"`{kind}`: " + ", ".join(f"{schema}'s {' and '.join(fields)}" for schema, fields in schemas.items())
    for kind, schemas in KINDS.items()
)
_CHANGE = {"year": {"summary": "Decisions for a year and a month", "value": {"decisions": 396, "predictions": None}}}
OPERATIONS: Sequence[Operation] = (
    operation(
        TAG,
        "DELETE",
        "/v1/entities/{kind}/{entity_id}",
        "deleteEntity",
        "Remove one person's data everywhere",
        "Transactions that name them with the decisions on them, live and test, labels, predictions, recent activity, "
        "answers kept for repeated requests, exports; counted usage and invoices name nobody and stay. What was sent "
        "before and is still being written is waited for: the receipt says `holding` until then. Repeating it is "
        f"harmless. Kinds: {_FIELDS}. Takes a live key.",
        Answer(ErasureReceipt, "The receipt."),
        "admin",
        parameters=(_KIND, _ENTITY),
        problems=("field_invalid", "live_key_required"),
    ),
    operation(
        TAG,
        "GET",
        "/v1/erasures",
        "listErasures",
        "List receipts of removals",
        "Newest first, to live keys.",
        Answer(ErasurePage, "A page of receipts."),
        parameters=page_of("Receipts"),
        problems=("field_invalid", "query_invalid", "cursor_invalid"),
    ),
    operation(
        TAG,
        "GET",
        "/v1/erasures/{erasure_id}",
        "getErasure",
        "Read a receipt of a removal",
        "Whether everything is gone, and how much that was.",
        Answer(ErasureReceipt, "The receipt."),
        parameters=(_ERASURE,),
        problems=("not_found",),
    ),
    operation(
        TAG,
        "GET",
        "/v1/retention",
        "getRetention",
        "How long what is kept",
        "Days by kind of thing.",
        Answer(RetentionSettings, "The settings."),
    ),
    operation(
        TAG,
        "POST",
        "/v1/retention",
        "changeRetention",
        "Change how long what is kept",
        "What is older is removed the next night, live and test. Takes a live key.",
        Answer(RetentionSettings, "The settings."),
        "admin",
        body=described.Body(RetentionChange, _CHANGE),
        problems=(*WITH_A_BODY, "field_invalid", "live_key_required"),
    ),
)
