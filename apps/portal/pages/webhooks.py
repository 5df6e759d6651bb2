"""Webhooks: endpoints, their secrets, what was sent to them, sending it again."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from apps.notifications import services
from apps.notifications.kinds import HOOKED, KINDS
from apps.notifications.models import Delivery, WebhookEndpoint
from apps.notifications.targets import NotAllowed
from apps.portal.filters import choice, days, search
from apps.portal.page import InOtherMode, Page
from apps.portal.roles import Permission
from apps.portal.table import Column, Empty, Table

#: How long a replaced secret signs along.
OVERLAP = timedelta(hours=24)


class WebhookForm(forms.Form):
    """A new webhook."""

    url = forms.CharField(max_length=2_000, label="Address", help_text="https, on a server of yours that is public.")
    description = forms.CharField(max_length=200, required=False)
    events = forms.MultipleChoiceField(
        required=False,
        choices=[(name, f"{name}: {KINDS[name].about}") for name in HOOKED],
        widget=forms.CheckboxSelectMultiple,
        label="Tell it of",
        help_text="None chosen: of everything.",
    )


TABLE = Table(
    row="portal/rows/webhook.html",
    filters=(search("Address", "url", "description"),),
    columns=(
        Column("url", "Address", lambda one: one.url, ("url", "id")),
        Column("events", "Told of", lambda one: one.events or ["everything"]),
        Column("state", "State", lambda one: "off" if one.disabled_at else "failing" if one.failing_since else "on"),
        Column("created_at", "Since", lambda one: one.created_at, ("created_at", "id")),
    ),
)
STATES = tuple((value, words) for value, words in Delivery.State.choices)
DELIVERIES = Table(
    row="portal/rows/delivery.html",
    filters=(
        choice("state", "State", STATES),
        choice("kind", "Event", ((name, name) for name in HOOKED), "event__kind"),
        *days("created_at"),
    ),
    columns=(
        Column("created_at", "When", lambda one: one.created_at, ("created_at", "id")),
        Column("event", "Event", lambda one: one.event.kind),
        Column("event_id", "Event's id", lambda one: one.event_id, shown=False),
        Column("state", "State", lambda one: one.state),
        Column("answer", "Last answer", lambda one: [attempt.status for attempt in one.attempts.all()]),
        Column("actions", "Actions", lambda one: ""),
    ),
)


class WebhooksPage(Page):
    """All webhooks of this mode, and a new one."""

    title, template = "Webhooks", "portal/pages/webhooks.html"
    changes, sensitive = Permission.WEBHOOKS, True  # a new one shows its secret

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return self.exported(TABLE, self._rows(), "webhooks") if TABLE.exports(request) else super().get(request)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        mode = "live" if self.livemode else "test"
        able = self.may(Permission.WEBHOOKS)
        text = "Name an address below, and send it a test." if able else "An owner or admin can set one up."
        empty = Empty(f"No {mode} webhooks yet", text)
        return {"table": TABLE.show(self.request, self._rows(), empty), "form": WebhookForm()}

    def _rows(self) -> QuerySet[WebhookEndpoint]:
        return WebhookEndpoint.objects.filter(tenant=self.tenant, livemode=self.livemode)

    def post(self, request: HttpRequest) -> HttpResponse:
        form = WebhookForm(request.POST)
        if form.is_valid():
            try:
                made = services.create_webhook(
                    tenant=self.tenant, livemode=self.livemode, now=self.now, actor=self.actor, **form.cleaned_data
                )
            except NotAllowed as wrong:
                form.add_error("url", str(wrong))
            except services.TooMany:
                form.add_error(None, f"A company may have {services.MOST_WEBHOOKS} webhooks in each mode.")
            else:
                return self.page("portal/pages/webhook_secret.html", title="Your webhook's secret", webhook=made)
        return self.page(**self.context() | {"form": form}, status=422)


class WebhookPage(Page):
    """One webhook: what was sent to it, and what can be done with it."""

    title, template = "Webhook", "portal/pages/webhook.html"
    changes = Permission.WEBHOOKS

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if DELIVERIES.exports(request):
            return self.exported(DELIVERIES, _deliveries(self.webhook(kwargs["webhook_id"])), "deliveries")
        return super().get(request, **kwargs)

    def context(self, **kwargs: Any) -> dict[str, Any]:
        webhook = self.webhook(kwargs["webhook_id"])
        empty = Empty("No deliveries yet", "Send a test to see one.")
        return {"webhook": webhook, "table": DELIVERIES.show(self.request, _deliveries(webhook), empty)}

    def is_sensitive(self, request: HttpRequest) -> bool:
        """A new secret is shown."""
        return request.POST.get("do") == "rotate"

    def post(self, request: HttpRequest, webhook_id: str) -> HttpResponse:
        """Do what the button says."""
        webhook, asked = self.webhook(webhook_id), request.POST.get("do", "")
        if asked == "rotate":
            rotated = services.rotate_secret(webhook=webhook, overlap=OVERLAP, now=self.now, actor=self.actor)
            return self.page("portal/pages/webhook_secret.html", title="Its new secret", webhook=rotated)
        if asked == "delete":
            services.delete_webhook(webhook=webhook, now=self.now, actor=self.actor)
            messages.success(request, "The webhook is deleted.")
            return redirect("webhooks")
        if asked == "test":
            services.send_test(webhook=webhook, now=self.now, actor=self.actor)
            messages.success(request, "A test is on its way; it appears below.")
        elif asked in ("enable", "disable"):
            changes = {"enabled": asked == "enable"}
            services.change_webhook(webhook=webhook, changes=changes, now=self.now, actor=self.actor)
        return redirect("webhook", webhook_id)

    def webhook(self, webhook_id: str) -> WebhookEndpoint:
        rows = WebhookEndpoint.objects.select_related("tenant")
        found = rows.filter(pk=webhook_id, tenant=self.tenant).first()
        if found is None:
            raise Http404
        if found.livemode != self.livemode:
            raise InOtherMode("live webhook" if found.livemode else "test webhook")
        return found


def _deliveries(webhook: WebhookEndpoint) -> QuerySet[Delivery]:
    rows = Delivery.objects.filter(endpoint=webhook)
    return rows.select_related("event").prefetch_related("attempts")


class ReplayDelivery(Page):
    """Something sent once more, under the same id of its event."""

    permission = Permission.WEBHOOKS
    http_method_names = ["post"]

    def post(self, request: HttpRequest, delivery_id: str) -> HttpResponse:
        mine = {"endpoint__tenant": self.tenant, "endpoint__livemode": self.livemode}
        lost = Delivery.objects.select_related("event__tenant", "endpoint").filter(pk=delivery_id, **mine).first()
        if lost is None or lost.endpoint is None:
            raise Http404
        if lost.endpoint.disabled_at is not None:
            messages.error(request, "The webhook is switched off: switch it on first.")
        else:
            services.replay(delivery=lost, now=self.now, actor=self.actor)
            messages.success(request, "It is sent again; the new attempt appears below.")
        return redirect("webhook", lost.endpoint.pk)
