"""Operators' pages of what was told to whom: webhooks may be switched off and on, a delivery sent again."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import TabularInline
from unfold.decorators import display

from apps.backoffice.base import ReadOnlyAdmin, operator
from apps.notifications.models import Attempt, Delivery, Event, WebhookEndpoint
from apps.notifications.services import change_webhook, replay


class ActionsAdmin(ReadOnlyAdmin):
    """To look at, and to act on from the list."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Of the list, for its actions; a row itself is never edited."""
        return obj is None and admin.ModelAdmin.has_change_permission(self, request, obj)


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ActionsAdmin):
    """Customers' webhooks; their secrets are nobody's business."""

    list_display = ("id", "tenant", "url", "mode", "state", "failing_since", "failures", "created_at")
    list_filter = ("livemode", ("disabled_at", admin.EmptyFieldListFilter))
    list_select_related = ("tenant",)
    search_fields = ("id", "url", "tenant__slug")
    actions: ClassVar = ["switch_off", "switch_on"]
    fields = (
        "id",
        "tenant",
        "url",
        "description",
        "events",
        "mode",
        "state",
        "disabled_because",
        "failing_since",
        "failures",
        "previous_until",
        "created_at",
    )

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(self, request: HttpRequest, chosen: QuerySet[WebhookEndpoint]) -> None:
        self._switch(request, chosen, on=False)

    @admin.action(description="Switch on", permissions=["change"])
    def switch_on(self, request: HttpRequest, chosen: QuerySet[WebhookEndpoint]) -> None:
        self._switch(request, chosen, on=True)

    def _switch(self, request: HttpRequest, chosen: QuerySet[WebhookEndpoint], *, on: bool) -> None:
        for row in chosen:
            change_webhook(webhook=row, changes={"enabled": on}, now=timezone.now(), actor=operator(request))
        self.message_user(request, f"{len(chosen)} switched {'on' if on else 'off'}.", messages.SUCCESS)

    @display(description="mode", label={"live": "info", "test": "warning"})
    def mode(self, row: WebhookEndpoint) -> str:
        return "live" if row.livemode else "test"

    @display(description="state", label={"on": "success", "off": "danger"})
    def state(self, row: WebhookEndpoint) -> str:
        return "on" if row.disabled_at is None else "off"


class AttemptInline(TabularInline):
    """Every try of a delivery."""

    model = Attempt
    fields = readonly_fields = ("number", "at", "delivered", "status", "answer", "duration_ms")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Delivery)
class DeliveryAdmin(ActionsAdmin):
    """The outbox."""

    list_display = ("id", "kind", "tenant", "channel", "recipient", "state", "tries", "next_try_at", "created_at")
    list_filter = ("state", "channel", "event__kind")
    list_select_related = ("event__tenant",)
    search_fields = ("id", "recipient", "event__tenant__slug", "event__id")
    actions: ClassVar = ["send_again"]
    inlines: ClassVar = [AttemptInline]

    @admin.action(description="Send again", permissions=["change"])
    def send_again(self, request: HttpRequest, chosen: QuerySet[Delivery]) -> None:
        for row in chosen.select_related("event__tenant", "endpoint"):
            replay(delivery=row, now=timezone.now(), actor=operator(request))
        self.message_user(request, f"{len(chosen)} will be sent again.", messages.SUCCESS)

    @display(description="kind", ordering="event__kind")
    def kind(self, row: Delivery) -> str:
        return row.event.kind

    @display(description="tenant", ordering="event__tenant__slug")
    def tenant(self, row: Delivery) -> str:
        return row.event.tenant.slug


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """What happened, each once by its key."""

    list_display = ("id", "kind", "tenant", "key", "livemode", "occurred_at")
    list_filter = ("kind", "livemode")
    list_select_related = ("tenant",)
    search_fields = ("id", "key", "tenant__slug")
    date_hierarchy = "occurred_at"
