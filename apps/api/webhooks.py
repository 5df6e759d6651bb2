"""The doors of `/v1/webhooks`: a tenant's addresses that are told of events, and what became of each message."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import UNSET, Meta, UnsetType

from apps.accounts.models import Tenant
from apps.api.endpoint import ApiView, json_answer
from apps.api.parameters import count_in, cursor_in, query_of
from apps.api_keys.gate import Admission
from apps.decoding import Noticed, decode, without_cards
from apps.errors import Problem
from apps.notifications import services
from apps.notifications.kinds import HOOKED
from apps.notifications.models import Delivery, WebhookEndpoint
from apps.notifications.targets import LONGEST_URL, NotAllowed
from apps.usage.metering.events import moment

MOST_A_PAGE = 100
DEFAULT_A_PAGE = 20
MAX_OVERLAP_HOURS = int(services.MAX_OVERLAP.total_seconds() // 3600)

_CURSOR = re.compile("dlv_[0-9a-f]{24}")

Moment = Annotated[str, Meta(description="UTC.", extra_json_schema={"format": "date-time"})]
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
    """A webhook. Its secret is told when it is made or rotated, and never again."""

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
    next_cursor: Annotated[str | None, Meta(description="Send it as `cursor` for the next page.")]


class _WebhooksView(ApiView):
    """Reading takes `read`; whatever changes something takes `admin`."""

    scopes: ClassVar = {"GET": "read", "POST": "admin", "DELETE": "admin"}
    http_method_names = ["get", "head", "post", "delete"]

    @property
    def now(self) -> datetime:
        return moment(self.received_us)

    def understood(self, request: HttpRequest, kind: type[Any]) -> tuple[Admission, Any]:
        """Leave to go on, and the body."""
        try:
            asked = decode(self.read_body(request), kind)
        except Problem as wrong:
            self.refuse(request, wrong)
        return self.admit_only(request), asked

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
        admission, sent = self.understood(request, NewWebhook)
        asked, warnings = without_cards(sent)
        made = _allowed(
            lambda: services.create_webhook(
                tenant=Tenant.objects.get(pk=admission.tenant_id),
                livemode=self.key.livemode,
                url=asked.url,
                events=sorted(set(asked.events)),
                description=asked.description,
                now=self.now,
                actor=_actor(admission),
            )
        )
        return _with_secret(made, warnings)


class WebhookView(_WebhooksView):
    """GET, POST (change), DELETE one."""

    endpoint = "webhook"

    def get(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        return json_answer(_webhook(self.webhook(self.admit_only(request), webhook_id)))

    def post(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        admission, sent = self.understood(request, WebhookChange)
        asked, warnings = without_cards(sent)
        row = self.webhook(admission, webhook_id)
        said = {name: value for name, value in msgspec.structs.asdict(asked).items() if value is not UNSET}
        changed = _allowed(
            lambda: services.change_webhook(webhook=row, changes=said, now=self.now, actor=_actor(admission))
        )
        return json_answer(_webhook(changed, warnings))

    def delete(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        admission = self.admit_only(request)
        row = self.webhook(admission, webhook_id)
        services.delete_webhook(webhook=row, now=self.now, actor=_actor(admission))
        return json_answer(DeletedWebhook(webhook_id, "webhook", True))


class WebhookRotateView(_WebhooksView):
    """POST: a new secret."""

    endpoint = "webhook_rotate"

    def post(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        admission, asked = self.understood(request, Rotation)
        row = self.webhook(admission, webhook_id)
        overlap = timedelta(hours=asked.overlap_hours)
        rotated = services.rotate_secret(webhook=row, overlap=overlap, now=self.now, actor=_actor(admission))
        return _with_secret(rotated)


class WebhookTestView(_WebhooksView):
    """POST: a `webhook.test` to this one."""

    endpoint = "webhook_test"

    def post(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        row = self.webhook(self.admit_only(request), webhook_id)
        return json_answer(_delivery(services.send_test(webhook=row, now=self.now)))


class WebhookDeliveriesView(_WebhooksView):
    """GET: what was sent to it, newest first."""

    endpoint = "webhook_deliveries"

    def get(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        try:
            filters, limit = _page_asked(request)
        except Problem as wrong:
            self.refuse(request, wrong)
        row = self.webhook(self.admit_only(request), webhook_id)
        found = list(_deliveries().filter(endpoint=row, **filters)[: limit + 1])
        more = len(found) > limit
        data = [_delivery(one) for one in found[:limit]]
        return json_answer(WebhookDeliveryPage("list", data, more, data[-1].id if more else None))


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
        return json_answer(_delivery(services.replay(delivery=lost, now=self.now, actor=_actor(admission))))


def _page_asked(request: HttpRequest) -> tuple[dict[str, Any], int]:
    """Filters of the rows and how many. Raises `Problem`."""
    query = query_of(request.META)
    filters: dict[str, Any] = {}
    if "state" in query:
        if query["state"] not in Delivery.State.values:
            raise Problem("field_invalid", f"It takes one of: {', '.join(Delivery.State.values)}.", "state")
        filters["state"] = query["state"]
    if cursor := cursor_in(query, _CURSOR):
        filters["pk__lt"] = cursor
    return filters, count_in(query, "limit", default=DEFAULT_A_PAGE, most=MOST_A_PAGE)


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
        said = f"A tenant may have {services.MOST_WEBHOOKS} webhooks of each mode."
        raise Problem("limit_reached", said) from wrong


def _actor(admission: Admission) -> str:
    return f"key:{admission.key_id}"


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
        failing_since=_at(row.failing_since),
        created_at=_at(row.created_at) or "",
        previous_secret_until=_at(row.previous_until) or UNSET,
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
        next_try_at=_at(row.next_try_at),
        delivered_at=_at(row.delivered_at),
        created_at=_at(row.created_at) or "",
        attempts=[
            WebhookAttempt(_at(one.at) or "", one.delivered, one.status, one.answer, one.duration_ms)
            for one in row.attempts.all()
        ],
    )


def _at(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
