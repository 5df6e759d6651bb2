"""What needs a person, for the front page of the operators' pages: a line a concern, none where all is well."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.http import urlencode

from apps.accounts.models import RegularCheck, Tenant
from apps.accounts.services import BACKUP
from apps.backoffice.invoices import with_state
from apps.billing.models import Invoice, Payment, ProviderEvent, Refund
from apps.formats import moment_text
from apps.notifications.models import Delivery, WebhookEndpoint
from apps.sla.models import BurnAlert, Incident
from apps.support.models import SupportRequest
from apps.usage.metering.journal import Journal
from apps.valkey import Away, server

#: What was given up is shown for so long.
RECENT = timedelta(days=7)
#: A recorder that is well lets no entry wait for so long, in ms.
BUSY_MS = 5_000
#: A check that runs every hour, or every night, is late after this.
LATE = timedelta(hours=26)
#: Differences told on the page itself.
TOLD = 5


@dataclass(frozen=True)
class Concern:
    """How many of what, where they are, and who may see it (whoever may view `model`)."""

    title: str
    count: int
    model: str
    address: str
    details: Sequence[str] = ()


def concerns(now: datetime) -> list[Concern]:
    """All there are, the gravest first."""
    return [*_journal(), *_differences(now), *(one for look in _ROWS if (one := look(now)).count)]


def _rows(title: str, model: str, filters: dict[str, str], rows: Callable[[datetime], QuerySet[Any]]) -> Any:
    """A concern that is rows of a page: what they are, and the filter that shows them."""

    def look(now: datetime) -> Concern:
        page = model.replace(".", "_")
        address = f"{reverse(f'admin:{page}_changelist')}?{urlencode(filters)}"
        return Concern(title, rows(now).count(), model, address)

    return look


def _overdue(now: datetime) -> QuerySet[Any]:
    return with_state(Invoice.objects.all(), now).filter(state_now="overdue")


_LIMITED = Q(subscription__status="limited", suspended_at=None)
_ROWS: Sequence[Callable[[datetime], Concern]] = (
    _rows("Invoices overdue", "billing.invoice", {"state": "overdue"}, _overdue),
    _rows(
        "Tenants limited for not paying", "accounts.tenant", {"state": "limited"},
        lambda _: Tenant.objects.filter(_LIMITED),
    ),
    _rows(
        "Payments disputed", "billing.payment", {"status__exact": "disputed"},
        lambda _: Payment.objects.filter(status="disputed"),
    ),
    _rows(
        "Payments that came twice", "billing.payment", {"failure_code": "paid_twice"},
        lambda _: Payment.objects.filter(failure_code="paid_twice"),
    ),
    _rows(
        "Refunds the provider refused", "billing.refund", {"status__exact": "failed"},
        lambda now: Refund.objects.filter(status="failed", updated_at__gte=now - RECENT),
    ),
    _rows(
        "Events of the provider given up", "billing.providerevent", {"state": "given up"},
        lambda _: ProviderEvent.objects.given_up(),
    ),
    _rows(
        "Deliveries given up in the last 7 days", "notifications.delivery", {"state__exact": "dead"},
        lambda now: Delivery.objects.filter(state="dead", created_at__gte=now - RECENT),
    ),
    _rows(
        "Incidents that are open", "sla.incident", {"ended_at__isempty": "1"},
        lambda _: Incident.objects.filter(ended_at=None),
    ),
    _rows(
        "Burn rates of the SLA's budget that are too high", "sla.burnalert", {"ended_at__isempty": "1"},
        lambda _: BurnAlert.objects.filter(ended_at=None),
    ),
    _rows(
        "Support requests that should be answered by now", "support.supportrequest", {"answered_at__isempty": "1"},
        lambda now: SupportRequest.objects.filter(answered_at=None, answer_by__lt=now),
    ),
    _rows(
        "Webhooks switched off by failures", "notifications.webhookendpoint", {"disabled_at__isempty": "0"},
        lambda _: WebhookEndpoint.objects.exclude(disabled_at=None).exclude(failing_since=None),
    ),
)  # fmt: skip


def get_journal() -> Journal:
    return Journal(server(settings.REDIS_URL, settings.REDIS_TIMEOUT))


def _journal() -> Iterator[Concern]:
    """The journal fills while nobody records; without Valkey decisions are made without limits."""
    address = reverse("admin:usage_usagehour_changelist")
    try:
        waiting, age_ms = sum(get_journal().lengths()), get_journal().age_ms()
    except Away:
        yield Concern("Valkey does not answer", 1, "usage.usagehour", address)
        return
    if age_ms > BUSY_MS:
        said = f"Decisions that are not recorded yet, the oldest for {age_ms // 1_000} seconds"
        yield Concern(said, waiting, "usage.usagehour", address)


def _differences(now: datetime) -> Iterator[Concern]:
    """What the regular checks of the books found last, and those that have not run for too long."""
    for check in RegularCheck.objects.exclude(name=BACKUP).order_by("name"):
        address = reverse("admin:usage_usageday_changelist")
        if check.count:
            said = f"Differences in the {check.name}, {moment_text(check.checked_at)}"
            yield Concern(said, check.count, "usage.usageday", address, check.differences[:TOLD])
        if check.checked_at < now - LATE:
            days = (now - check.checked_at).days
            yield Concern(f"Days since the {check.name} were compared", days, "usage.usageday", address)
