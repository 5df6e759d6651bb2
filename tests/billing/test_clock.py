"""A billing clock: what is used after a step counts when the tenant's own time says, once, and the books agree."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.accounts.models import AuditEntry, Tenant
from apps.api_keys.models import ApiKey
from apps.api_keys.services import create_key
from apps.billing.invoicing.invoices import invoiced_by_day, issue_credit_note, mark_paid, void_invoice
from apps.billing.models import BillingClock, Invoice, InvoiceLine, Subscription
from apps.billing.receivables import delinquency
from apps.billing.subscriptions import test_clock
from apps.billing.subscriptions.services import set_payment_method
from apps.notifications.models import Event
from apps.periods import Period
from tests.billing.conftest import at, close, customer, use

pytestmark = pytest.mark.django_db


def walk(tenant: Tenant, span: str) -> dict[str, Any]:
    out = StringIO()
    call_command("billing_clock", "--tenant", tenant.slug, "--advance", span, "--json", stdout=out)
    return dict(json.loads(out.getvalue()))


def trying(days: int = 14, included: int = 0) -> Tenant:
    """On trial from this very moment on, with a way to pay for what follows."""
    tenant = customer("basic", timezone.now(), trial_days=days, included=included)
    walk(tenant, "0d")
    set_payment_method(tenant_id=tenant.pk, ready=True, now=timezone.now(), label="bank transfer")
    return tenant


def use_now(tenant: Tenant, units: int) -> datetime:
    moment = timezone.now()
    use(tenant, moment, units)
    return moment


def pay(tenant: Tenant) -> None:
    for invoice in Invoice.objects.filter(tenant=tenant, status="issued"):
        mark_paid(invoice=invoice, now=test_clock.now_for(tenant.pk, timezone.now()), how="bank transfer")


def credit_all(invoice: Invoice) -> None:
    issue_credit_note(invoice=invoice, amount=invoice.money(invoice.total), reason="wrong", now=at(10, 26))


def void_it(invoice: Invoice) -> None:
    void_invoice(invoice=invoice, now=at(10, 26))


def overage(tenant: Tenant) -> list[tuple[str, int, str]]:
    """(month, units, amount) of each line of overage."""
    lines = InvoiceLine.objects.filter(tenant=tenant, component__startswith="overage").select_related("invoice")
    return [
        (line.invoice.period, int(line.quantity), str(line.invoice.money(line.amount))) for line in lines.order_by("pk")
    ]


def test_overage_follows_a_trial_that_the_clock_has_ended() -> None:
    tenant = trying()
    assert walk(tenant, "15d")["status"] == "active"
    month = Period.of(test_clock.now_for(tenant.pk, timezone.now()))
    used_at = use_now(tenant, 500)
    walk(tenant, "40d")
    assert overage(tenant) == [(str(month), 500, "4.00")]
    invoice = Invoice.objects.get(tenant=tenant, period=str(month))
    by_clock = used_at.date() + timedelta(days=15)
    assert [tuple(one) for one in invoice.usage["by_day"]] == [(str(by_clock), 500)]
    assert [tuple(one) for one in invoice.usage["by_endpoint"]] == [("decisions", 500)]
    assert invoiced_by_day(tenant.pk, Period.of(used_at)) == {str(used_at.date()): 500}


def test_what_is_used_on_trial_stays_free() -> None:
    tenant = trying()
    use_now(tenant, 500)
    walk(tenant, "60d")
    assert overage(tenant) == []
    assert sum(Invoice.objects.filter(tenant=tenant).values_list("units", flat=True)) == 500


def test_every_unit_is_billed_once_in_the_month_of_its_step() -> None:
    tenant = trying(days=1)
    walk(tenant, "35d")
    pay(tenant)
    months = []
    for units in (100, 200, 300):
        months.append(str(Period.of(test_clock.now_for(tenant.pk, timezone.now()))))
        used_at = use_now(tenant, units)
        walk(tenant, "35d")
        pay(tenant)
    assert overage(tenant) == [(months[0], 100, "0.80"), (months[1], 200, "1.60"), (months[2], 300, "2.40")]
    assert not InvoiceLine.objects.filter(tenant=tenant, component__startswith="late").exists()
    assert invoiced_by_day(tenant.pk, Period.of(used_at)) == {str(used_at.date()): 600}


def test_the_included_volume_is_the_months_by_the_clock() -> None:
    tenant = trying(days=1, included=10)
    walk(tenant, "2d")
    first = test_clock.now_for(tenant.pk, timezone.now())
    use_now(tenant, 100)
    walk(tenant, "70d")
    assert [(month, units) for month, units, _ in overage(tenant)] == [(str(Period.of(first)), 90)]


def test_a_clock_that_only_looks_takes_no_step() -> None:
    tenant = trying()
    walk(tenant, "0d")
    assert test_clock.steps_of(tenant.pk) == []
    with pytest.raises(CommandError, match="--advance"):
        walk(tenant, "-3d")
    assert BillingClock.objects.get(tenant=tenant).now <= timezone.now()


def test_who_pays_by_transfer_is_restored_at_once_at_the_clocks_own_time() -> None:
    tenant = customer("basic", timezone.now())
    key, _ = create_key(tenant=tenant, name="till", scopes=["predict"], now=timezone.now())
    while walk(tenant, "1d")["status"] != "limited":
        assert test_clock.now_for(tenant.pk, timezone.now()) < timezone.now() + timedelta(days=70)
    ApiKey.objects.filter(pk=key.pk).update(gate_pending=False)
    owed = list(Invoice.objects.filter(tenant=tenant, status="issued").order_by("pk"))
    for invoice in owed:
        mark_paid(invoice=invoice, now=timezone.now(), how="bank transfer")  # even where real time is handed in
    assert Subscription.objects.get(tenant=tenant).status == "active"
    assert ApiKey.objects.get(pk=key.pk).gate_pending  # the recorder tells the gate within a second
    assert Event.objects.get(tenant=tenant, kind="subscription.restored").occurred_at == test_clock.now_for(
        tenant.pk, timezone.now()
    )


def test_the_audit_trail_has_real_time_and_the_clocks_beside_it() -> None:
    tenant = customer("basic", timezone.now())
    walk(tenant, "40d")
    before = timezone.now()
    pay(tenant)
    paid = AuditEntry.objects.filter(tenant=tenant, action="invoice.paid")[0]
    assert before <= paid.at <= timezone.now()
    own = test_clock.now_for(tenant.pk, timezone.now())
    assert paid.after == {"how": "bank transfer", "clock": own.isoformat()}


@pytest.mark.parametrize("act", [credit_all, void_it])
def test_who_owes_nothing_any_more_is_restored_at_once(act: Callable[[Invoice], None]) -> None:
    tenant = customer("basic", at(9))
    invoice = close(tenant, 9)
    delinquency.refresh(tenant.pk, at(10, 25))
    assert Subscription.objects.get(tenant=tenant).status == "limited"
    act(invoice)
    assert Subscription.objects.get(tenant=tenant).status == "active"
