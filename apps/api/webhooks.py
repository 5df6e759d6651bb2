"""The doors of `/v1/webhooks`: a tenant's endpoints for events, and the deliveries to each."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import UNSET, Meta, UnsetType

from apps import paging
from apps.accounts.models import Tenant
from apps.api import operation as described
from apps.api.endpoint import ApiView, Body, json_answer
from apps.api.fields import Moment, NextCursor
from apps.api.operation import WITH_A_BODY, Answer, Operation, id_in_path, not_stored, operation, page_of, parameter
from apps.api.parameters import one_of, page_in, query_of
from apps.api_keys.gate import Admission
from apps.decoding import Noticed, without_cards
from apps.errors import Problem, read_all
from apps.notifications import services
from apps.notifications.kinds import HOOKED
from apps.notifications.models import Delivery, WebhookEndpoint
from apps.notifications.targets import LONGEST_URL, NotAllowed
from apps.times import rfc3339, rfc3339_or_none

MAX_OVERLAP_HOURS = int(services.MAX_OVERLAP.total_seconds() // 3600)

#: By what deliveries are listed, newest first: an id begins with its time.
KEY = ("id",)

Url = Annotated[str, Meta(min_length=1, max_length=LONGEST_URL, description="https://…, on a public address.")]
Description = Annotated[str, Meta(max_length=200, description="For you.")]
Events = Annotated[
    list[Literal[HOOKED]],  # type: ignore[valid-type]  # a table's names: mypy can't read them, msgspec does
    Meta(max_length=len(HOOKED), description="What it is told of; empty: of everything."),
]


class NewWebhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A webhook to be."""

    url: Url
    events: Events = []
    description: Description = ""


class WebhookChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shall change; what is left out stays."""

    url: Url | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    enabled: Annotated[bool, Meta(description="Switch it on again, or off.")] | UnsetType = UNSET


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a secret is replaced."""

    overlap_hours: Annotated[
        int, Meta(ge=0, le=MAX_OVERLAP_HOURS, description="Hours the old one signs along; 0: it is out at once.")
    ] = 24


class Webhook(msgspec.Struct, frozen=True):
    """A webhook. Its secret is shown when it is made or rotated, and never again."""

    id: str
    object: Literal["webhook"]
    livemode: bool
    url: str
    events: list[str]
    description: str
    status: Literal["enabled", "disabled"]
    disabled_because: str | None
    failing_since: Moment | None
    created_at: Moment
    secret: Annotated[str, Meta(description="whsec_…: any library of Standard Webhooks takes it.")] | UnsetType = UNSET
    previous_secret_until: Moment | UnsetType = UNSET
    warnings: Noticed | UnsetType = UNSET


class WebhookList(msgspec.Struct, frozen=True):
    """All webhooks of the mode of the key."""

    object: Literal["list"]
    data: list[Webhook]


class DeletedWebhook(msgspec.Struct, frozen=True):
    """It is gone."""

    id: str
    object: Literal["webhook"]
    deleted: Literal[True]


class WebhookAttempt(msgspec.Struct, frozen=True):
    """One try."""

    at: Moment
    delivered: bool
    status: Annotated[int | None, Meta(description="HTTP status, when there was an answer.")]
    answer: Annotated[str, Meta(description="The beginning of the answer, or what went wrong.")]
    duration_ms: int


class WebhookDelivery(msgspec.Struct, frozen=True):
    """One event on its way to one webhook."""

    id: str
    object: Literal["webhook_delivery"]
    webhook: str
    event: Annotated[str, Meta(description="The event's id: `webhook-id` of every try.")]
    type: str
    state: Literal["waiting", "delivered", "dead"]
    tries: int
    next_try_at: Moment | None
    delivered_at: Moment | None
    created_at: Moment
    attempts: list[WebhookAttempt]


class WebhookDeliveryPage(msgspec.Struct, frozen=True):
    """Deliveries, newest first."""

    object: Literal["list"]
    data: list[WebhookDelivery]
    has_more: bool
    next_cursor: NextCursor


class _WebhooksView(ApiView):
    """Reading takes `read`; whatever changes something takes `admin`."""

    scopes: ClassVar = {"GET": "read", "POST": "admin", "DELETE": "admin"}
    http_method_names = ["get", "head", "post", "delete"]

    def admitted_with(self, request: HttpRequest, kind: type[Body]) -> tuple[Admission, Body]:
        """Leave to go on, and the body."""
        body = self.decoded(request, kind)
        return self.admit_only(request), body

    def webhook(self, admission: Admission, webhook_id: str) -> WebhookEndpoint:
        rows = WebhookEndpoint.objects.select_related("tenant")
        found = rows.filter(pk=webhook_id, tenant_id=admission.tenant_id, livemode=self.key.livemode).first()
        return _there(found)


class WebhooksView(_WebhooksView):
    """GET: all of them. POST: a new one, with its secret."""

    endpoint = "webhooks"

    def get(self, request: HttpRequest) -> HttpResponse:
        admission = self.admit_only(request)
        rows = WebhookEndpoint.objects.filter(tenant_id=admission.tenant_id, livemode=self.key.livemode)
        return json_answer(WebhookList("list", [_webhook(row) for row in rows]))

    def post(self, request: HttpRequest) -> HttpResponse:
        admission, sent = self.admitted_with(request, NewWebhook)
        asked, warnings = without_cards(sent)
        made = _allowed(
            lambda: services.create_webhook(
                tenant=Tenant.objects.get(pk=admission.tenant_id),
                livemode=self.key.livemode,
                url=asked.url,
                events=sorted(set(asked.events)),
                description=asked.description,
                now=self.now,
                actor=admission.actor,
            )
        )
        return _with_secret(made, warnings)


class WebhookView(_WebhooksView):
    """GET, POST (change), DELETE one."""

    endpoint = "webhook"

    def get(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        return json_answer(_webhook(self.webhook(self.admit_only(request), webhook_id)))

    def post(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        admission, sent = self.admitted_with(request, WebhookChange)
        asked, warnings = without_cards(sent)
        row = self.webhook(admission, webhook_id)
        facts = {name: value for name, value in msgspec.structs.asdict(asked).items() if value is not UNSET}
        changed = _allowed(
            lambda: services.change_webhook(webhook=row, changes=facts, now=self.now, actor=admission.actor)
        )
        return json_answer(_webhook(changed, warnings))

    def delete(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        row = self.webhook(admission, webhook_id)
        services.delete_webhook(webhook=row, now=self.now, actor=admission.actor)
        return json_answer(DeletedWebhook(webhook_id, "webhook", True))


class WebhookRotateView(_WebhooksView):
    """POST: a new secret."""

    endpoint = "webhook_rotate"

    def post(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        admission, asked = self.admitted_with(request, Rotation)
        row = self.webhook(admission, webhook_id)
        overlap = timedelta(hours=asked.overlap_hours)
        rotated = services.rotate_secret(webhook=row, overlap=overlap, now=self.now, actor=admission.actor)
        return _with_secret(rotated)


class WebhookTestView(_WebhooksView):
    """POST: a `webhook.test` to this one."""

    endpoint = "webhook_test"

    def post(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        row = self.webhook(admission, webhook_id)
        return json_answer(_delivery(services.send_test(webhook=row, now=self.now, actor=admission.actor)))


class WebhookDeliveriesView(_WebhooksView):
    """GET: what was sent to it, newest first."""

    endpoint = "webhook_deliveries"

    def get(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        state, (limit, cursor) = self.understood(request, _asked)
        webhook = self.webhook(self.admit_only(request), webhook_id)
        rows = _deliveries().filter(endpoint=webhook)
        page = paging.page_of(rows.filter(state=state) if state else rows, KEY, cursor, limit)
        data = [_delivery(row) for row in page.rows]
        return json_answer(WebhookDeliveryPage("list", data, page.next_cursor is not None, page.next_cursor))


class WebhookDeliveryView(_WebhooksView):
    """GET: one. POST …/replay: send it again."""

    endpoint = "webhook_delivery"

    def get(self, request: HttpRequest, delivery_id: str) -> HttpResponse:
        return json_answer(_delivery(self.delivery(self.admit_only(request), delivery_id)))

    def delivery(self, admission: Admission, delivery_id: str) -> Delivery:
        mine = {"endpoint__tenant_id": admission.tenant_id, "endpoint__livemode": self.key.livemode}
        return _there(_deliveries().filter(pk=delivery_id, **mine).first())


class WebhookReplayView(WebhookDeliveryView):
    """POST: send it again, under the same `webhook-id`."""

    endpoint = "webhook_replay"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, delivery_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        lost = self.delivery(admission, delivery_id)
        if lost.endpoint is not None and lost.endpoint.disabled_at is not None:
            raise Problem("webhook_disabled")
        return json_answer(_delivery(services.replay(delivery=lost, now=self.now, actor=admission.actor)))


def _asked(request: HttpRequest) -> tuple[str | None, tuple[int, str | None]]:
    """Which deliveries, and the page of them. Raises `Problem`."""
    query = query_of(request.META)
    state, page = read_all(lambda: one_of(query, "state", Delivery.State.values), lambda: page_in(query))
    return state, page


def _deliveries() -> Any:
    return Delivery.objects.select_related("event__tenant", "endpoint").prefetch_related("attempts")


def _there(row: Any) -> Any:
    if row is None:
        raise Problem("not_found")
    return row


def _allowed(do: Callable[[], WebhookEndpoint]) -> WebhookEndpoint:
    try:
        return do()
    except NotAllowed as wrong:
        raise Problem("field_invalid", str(wrong), "url") from wrong
    except services.TooMany as wrong:
        message = f"A tenant may have {services.MOST_WEBHOOKS} webhooks of each mode."
        raise Problem("limit_reached", message) from wrong


def _with_secret(row: WebhookEndpoint, warnings: tuple[str, ...] = ()) -> HttpResponse:
    """The only answers that say it, and no cache may keep them."""
    told = msgspec.structs.replace(_webhook(row, warnings), secret=row.secret)
    return json_answer(told, {"Cache-Control": "no-store"})


def _webhook(row: WebhookEndpoint, warnings: tuple[str, ...] = ()) -> Webhook:
    return Webhook(
        id=row.pk,
        object="webhook",
        livemode=row.livemode,
        url=row.url,
        events=row.events,
        description=row.description,
        status="enabled" if row.disabled_at is None else "disabled",
        disabled_because=row.disabled_because or None,
        failing_since=rfc3339_or_none(row.failing_since),
        created_at=rfc3339(row.created_at),
        previous_secret_until=rfc3339_or_none(row.previous_until) or UNSET,
        warnings=warnings or UNSET,
    )


def _delivery(row: Delivery) -> WebhookDelivery:
    return WebhookDelivery(
        id=row.pk,
        object="webhook_delivery",
        webhook=str(row.endpoint_id),
        event=row.event_id,
        type=row.event.kind,
        state=row.state,  # type: ignore[arg-type]  # Django's choices are the literal's
        tries=row.tries,
        next_try_at=rfc3339_or_none(row.next_try_at),
        delivered_at=rfc3339_or_none(row.delivered_at),
        created_at=rfc3339(row.created_at),
        attempts=[
            WebhookAttempt(rfc3339(attempt.at), attempt.delivered, attempt.status, attempt.answer, attempt.duration_ms)
            for attempt in row.attempts.all()
        ],
    )


TAG = "Webhooks"
_WEBHOOK = id_in_path("webhook_id", "The webhook's id.", "whe_019aa5d0c2f75d1e0b7c4a9f")
_DELIVERY = id_in_path("delivery_id", "The delivery's id.", "dlv_019aa5d0c2f75d1e0b7c4a9f")
_STATE = parameter("state", "query", "Only these.", {"enum": list(Delivery.State.values)})
_CHANGES = (*WITH_A_BODY, "field_invalid")
_URL = "https://example.com/palisade"
_NEW = {
    "everything": {"summary": "Told of everything", "value": {"url": _URL}},
    "some": {
        "summary": "Told of budgets and payments",
        "value": {"url": _URL, "events": ["budget.reached", "payment.failed"], "description": "billing"},
    },
}
_CHANGE = {"off": {"summary": "Switch it off", "value": {"enabled": False}}}
_ROTATE = {
    "at once": {"summary": "It leaked: the old one is out at once", "value": {"overlap_hours": 0}},
    "overlap": {"summary": "Both sign for two days", "value": {"overlap_hours": 48}},
}


def _operation(
    method: str, path: str, name: str, summary: str, description: str, answer: Answer, **more: Any
) -> Operation:
    scope = "read" if method == "GET" else "admin"
    return operation(TAG, method, path, name, summary, description, answer, scope, **more)


_ONE = Answer(Webhook, "The webhook.")
_MADE = Answer(Webhook, "The webhook, with its secret.", headers=not_stored("It holds a secret."))
_SENT = Answer(WebhookDelivery, "The delivery, with every try so far.")
OPERATIONS: Sequence[Operation] = (
    _operation(
        "POST",
        "/v1/webhooks",
        "createWebhook",
        "Create a webhook",
        "An https address of yours that is told of events. The secret stands in this answer and in no other. A live "
        "key makes live webhooks, a test key test ones; they are apart.",
        _MADE,
        body=described.Body(NewWebhook, _NEW),
        problems=(*_CHANGES, "limit_reached"),
    ),
    _operation(
        "GET",
        "/v1/webhooks",
        "listWebhooks",
        "List webhooks",
        "All of them, without their secrets.",
        Answer(WebhookList, "The webhooks."),
    ),
    _operation(
        "GET",
        "/v1/webhooks/{webhook_id}",
        "getWebhook",
        "Read a webhook",
        "`disabled_because` says why one that failed for five days was switched off.",
        _ONE,
        parameters=(_WEBHOOK,),
        problems=("not_found",),
    ),
    _operation(
        "POST",
        "/v1/webhooks/{webhook_id}",
        "changeWebhook",
        "Change a webhook",
        "What is left out stays. `enabled: true` switches it on again; messages given up meanwhile can be replayed.",
        _ONE,
        parameters=(_WEBHOOK,),
        body=described.Body(WebhookChange, _CHANGE),
        problems=(*_CHANGES, "not_found"),
    ),
    _operation(
        "DELETE",
        "/v1/webhooks/{webhook_id}",
        "deleteWebhook",
        "Delete a webhook",
        "With what was on its way to it.",
        Answer(DeletedWebhook, "It is gone."),
        parameters=(_WEBHOOK,),
        problems=("not_found",),
    ),
    _operation(
        "POST",
        "/v1/webhooks/{webhook_id}/rotate",
        "rotateWebhookSecret",
        "Rotate the secret",
        "A new secret. For `overlap_hours` every message carries two signatures, of the new secret and of the old, so "
        "you can exchange it without losing one.",
        _MADE,
        parameters=(_WEBHOOK,),
        body=described.Body(Rotation, _ROTATE),
        problems=(*_CHANGES, "not_found"),
    ),
    _operation(
        "POST",
        "/v1/webhooks/{webhook_id}/test",
        "testWebhook",
        "Send a test",
        "A `webhook.test` to this webhook; read the delivery to see what came of it.",
        _SENT,
        parameters=(_WEBHOOK,),
        problems=("not_found",),
    ),
    _operation(
        "GET",
        "/v1/webhooks/{webhook_id}/deliveries",
        "listWebhookDeliveries",
        "List deliveries",
        "What was sent to it in the last 90 days, newest first, with every try.",
        Answer(WebhookDeliveryPage, "A page of deliveries."),
        parameters=(_WEBHOOK, *page_of("Deliveries"), _STATE),
        problems=("field_invalid", "cursor_invalid", "not_found"),
    ),
    _operation(
        "GET",
        "/v1/webhook-deliveries/{delivery_id}",
        "getWebhookDelivery",
        "Read a delivery",
        "One message with every try of it.",
        _SENT,
        parameters=(_DELIVERY,),
        problems=("not_found",),
    ),
    _operation(
        "POST",
        "/v1/webhook-deliveries/{delivery_id}/replay",
        "replayWebhookDelivery",
        "Replay a delivery",
        "Sends it again, as a delivery of its own under the same `webhook-id`.",
        _SENT,
        parameters=(_DELIVERY,),
        problems=("not_found", "webhook_disabled"),
    ),
)
