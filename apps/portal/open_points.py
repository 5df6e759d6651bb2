"""What in a tenant's account needs a person: told on the dashboard, each with the page where it is mended."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Q
from django.urls import reverse

from apps.accounts.models import Tenant
from apps.alerts.models import OPEN, Alert
from apps.api_keys.models import ApiKey
from apps.billing.models import Invoice
from apps.billing.subscriptions.services import subscription_of
from apps.notifications.models import WebhookEndpoint
from apps.usage.statements.reports import Brief

#: So long before its end a key is told to expire.
EXPIRY_NOTICE = timedelta(days=14)
#: Of what is included; from there on it is told.
NEARLY = 0.8


class OpenPoint(NamedTuple):
    """What is to be done, where, and whether calls fail or will fail because of it. `livemode`: of a page that differs
    by mode, the mode in which it is there."""

    text: str
    address: str
    action: str
    urgent: bool = False
    livemode: bool | None = None


def open_points(tenant: Tenant, month: Brief, now: datetime) -> list[OpenPoint]:
    """The urgent ones first."""
    found = [
        *_alerts(tenant),
        *_keys(tenant, now),
        *_volume(tenant, month),
        *_invoices(tenant, now),
        *_webhooks(tenant),
    ]
    return sorted(found, key=lambda point: not point.urgent)


def _alerts(tenant: Tenant) -> Iterator[OpenPoint]:
    """Of live alerts that nobody acknowledged the gravest severity, and how many there are."""
    severities = list(Alert.objects.filter(tenant=tenant, livemode=True, state=OPEN).values_list("severity", flat=True))
    if severities:
        words = "One alert is open." if len(severities) == 1 else f"{len(severities):,} alerts are open."
        yield OpenPoint(words, f"{reverse('alerts')}?state=open", "See them", "critical" in severities, livemode=True)


def _keys(tenant: Tenant, now: datetime) -> Iterator[OpenPoint]:
    usable = ApiKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now), tenant=tenant, revoked_at=None)
    keys = list(usable.filter(livemode=True).only("name", "expires_at"))
    if not keys:
        words = "There is no live key: nothing is scored in earnest yet."
        yield OpenPoint(words, reverse("keys"), "Make a live key", livemode=True)
    for key in keys:
        if key.expires_at and key.expires_at < now + EXPIRY_NOTICE:
            words = f"The key “{key.name}” expires within two weeks."
            yield OpenPoint(words, reverse("keys"), "Rotate it", livemode=True)


def _volume(tenant: Tenant, month: Brief) -> Iterator[OpenPoint]:
    subscription, page = subscription_of(tenant.pk), reverse("plan")
    if subscription.status in ("past_due", "limited", "cancelled"):
        words = subscription.get_status_display().lower()
        yield OpenPoint(f"Your subscription is {words}.", reverse("invoices"), "See the invoices", urgent=True)
    if not subscription.has_payment_method and month.used >= month.included:
        yield OpenPoint("The included decisions are used up: calls are refused.", page, "Change the plan", urgent=True)
    elif not subscription.has_payment_method and month.used >= NEARLY * month.included:
        used = f"{month.used:,} of {month.included:,} included decisions are used"
        yield OpenPoint(f"{used}; calls stop there without a payment method.", page, "Add a payment method")


def _invoices(tenant: Tenant, now: datetime) -> Iterator[OpenPoint]:
    overdue = Invoice.objects.filter(tenant=tenant, status="open", due_at__lt=now).count()
    if overdue:
        words = "One invoice is" if overdue == 1 else f"{overdue} invoices are"
        yield OpenPoint(f"{words} overdue.", reverse("invoices"), "See the invoices", urgent=True)


def _webhooks(tenant: Tenant) -> Iterator[OpenPoint]:
    troubled = WebhookEndpoint.objects.filter(
        Q(failing_since__isnull=False) | Q(disabled_at__isnull=False), tenant=tenant
    )
    for webhook in troubled:
        state = "is switched off" if webhook.disabled_at else "fails"
        words = f"The {'' if webhook.livemode else 'test '}webhook {webhook.url} {state}."
        yield OpenPoint(words, reverse("webhook", args=[webhook.pk]), "See why", livemode=webhook.livemode)
