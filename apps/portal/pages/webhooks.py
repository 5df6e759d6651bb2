"""Webhooks: endpoints, their secrets, what was sent to them, sending it again."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.notifications import services
from apps.notifications.kinds import HOOKED, KINDS
from apps.notifications.models import Delivery, WebhookEndpoint
from apps.notifications.targets import NotAllowed
from apps.portal.page import Page
from apps.portal.roles import Permission

#: How long a replaced secret signs along.
OVERLAP = timedelta(hours=24)
#: Deliveries on a webhook's page.
SHOWN = 50


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


class WebhooksPage(Page):
    """All webhooks of this mode, and a new one."""

    title, template = "Webhooks", "portal/pages/webhooks.html"
    changes, sensitive = Permission.WEBHOOKS, True  # a new one shows its secret

    def context(self, **kwargs: Any) -> dict[str, Any]:
        rows = WebhookEndpoint.objects.filter(tenant=self.tenant, livemode=self.livemode).order_by("created_at")
        return {"webhooks": list(rows), "form": WebhookForm()}

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

    def context(self, **kwargs: Any) -> dict[str, Any]:
        webhook = self.webhook(kwargs["webhook_id"])
        rows = Delivery.objects.filter(endpoint=webhook).select_related("event").prefetch_related("attempts")
        return {"webhook": webhook, "deliveries": list(rows.order_by("-created_at", "-pk")[:SHOWN])}

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
        found = rows.filter(pk=webhook_id, tenant=self.tenant, livemode=self.livemode).first()
        if found is None:
            raise Http404
        return found


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
            messages.success(request, "It is sent again; the new try appears below.")
        return redirect("webhook", lost.endpoint.pk)
