"""Hundreds of tenants are closed together: each gets its own, and what one of them can't be is its trouble alone."""

import json
import logging
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.billing.invoicing import credits
from apps.billing.invoicing.invoices import NotPossible, mark_paid, void_invoice
from apps.billing.models import (
    Closing,
    Coupon,
    Credit,
    Invoice,
    InvoiceLine,
    NumberSeries,
    PlanSpan,
    Subscription,
)
from apps.notifications.models import Event
from apps.periods import Period
from apps.usage.closing import closing
from apps.usage.closing.closing import NotClosed, close_due, close_period
from tests.billing.conftest import at, close, customer, use

pytestmark = pytest.mark.django_db(transaction=True)
OCTOBER = Period(2026, 10)


def close_all(tenants: list[Tenant], period: Period = OCTOBER, now: datetime | None = None) -> dict[int, Invoice]:
    chosen = Tenant.objects.filter(pk__in=[tenant.pk for tenant in tenants])
    return {one.tenant_id: one for one in close_period(period, chosen, now or period.end)}


def shown(invoice: Invoice) -> tuple[str, str, str]:
    return tuple(str(invoice.money(one)) for one in (invoice.subtotal, invoice.credits, invoice.total))  # type: ignore[return-value]


# --- each its own ---


def test_coupons_and_credits_of_many_are_taken_from_each_its_own() -> None:
    half = Coupon.objects.create(code="HALF", percent=Decimal(50))
    ten = Coupon.objects.create(code="TEN", amount=Decimal(10), currency="USD")
    names = ("half", "both", "credit", "euro", "none", "gone")
    who = {name: customer("basic", currency="EUR" if name == "euro" else "USD") for name in names}
    for name, coupon in (("half", half), ("both", half), ("both", ten)):
        credits.redeem(tenant=who[name], code=coupon.code, currency="USD", now=at(10, 2))
    for name, currency in (("both", "USD"), ("credit", "USD"), ("credit", "EUR"), ("euro", "EUR"), ("euro", "USD")):
        key = f"gift {currency}"
        credits.grant(who[name], Decimal(30), currency, reason="A gift", key=key, now=at(10, 3))
    credits.grant(who["gone"], Decimal(30), "USD", reason="Over", key="x", now=at(9, 3), expires_at=at(10, 31))
    found = close_all(list(who.values()))
    assert {name: shown(found[tenant.pk]) for name, tenant in who.items()} == {
        "half": ("99.00", "49.50", "49.50"),
        "both": ("99.00", "89.50", "9.50"),
        "credit": ("99.00", "30.00", "69.00"),
        "euro": ("89.00", "30.00", "59.00"),
        "none": ("99.00", "0.00", "99.00"),
        "gone": ("99.00", "0.00", "99.00"),
    }
    left = Credit.objects.filter(remaining__gt=0).order_by("pk").values_list("tenant_id", "currency")
    assert list(left) == [(who["credit"].pk, "EUR"), (who["euro"].pk, "USD"), (who["gone"].pk, "USD")]
    deducted = {one.tenant_id: [row.amount for row in one.deductions.all()] for one in found.values()}
    assert deducted[who["both"].pk] == [Decimal("49.5"), 10, 30]


def test_lines_usage_and_news_of_many_stand_with_their_own() -> None:
    tenants = [customer("basic", billing_email=f"{number}@example.com") for number in range(5)]
    for number, tenant in enumerate(tenants):
        use(tenant, at(10, 1 + number, 9), 10_000 + number)
    found = close_all(tenants)
    for number, tenant in enumerate(tenants):
        invoice = found[tenant.pk]
        assert invoice.units == 10_000 + number
        assert [tuple(one) for one in invoice.usage["by_day"]] == [(f"2026-10-{1 + number:02d}", 10_000 + number)]
        assert {line.tenant_id for line in invoice.lines.all()} == {tenant.pk}
        assert invoice.bill_to["email"] == f"{number}@example.com"
        event = Event.objects.get(tenant=tenant, kind="invoice.issued")
        assert event.data["invoice"] == invoice.public_id
        assert [delivery.recipient for delivery in event.deliveries.all()] == [f"{number}@example.com"]
        assert Closing.objects.get(tenant=tenant, period="2026-10").invoice_id == invoice.pk


def test_more_than_are_read_together_are_closed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "TOGETHER", 2)
    tenants = [customer() for _ in range(5)]
    assert len(close_all(tenants)) == 5
    assert close_all(tenants) == {}


# --- one that can't be closed ---


def gap(tenant: Tenant) -> None:
    """A time without any plan, in a timeline."""
    PlanSpan.objects.filter(tenant=tenant).update(ends_at=at(10, 10))
    PlanSpan.objects.create(tenant=tenant, plan_code="basic-2026-11", starts_at=at(10, 20))


def unknown_plan(tenant: Tenant) -> None:
    """A plan this release doesn't know."""
    PlanSpan.objects.filter(tenant=tenant).delete()
    PlanSpan.objects.create(tenant=tenant, plan_code="gold-2031-01", starts_at=at(9))


def unknown_currency(tenant: Tenant) -> None:
    Subscription.objects.filter(tenant=tenant).update(currency="XXX")


def invoiced_otherwise(tenant: Tenant) -> None:
    """An invoice of the month that nobody closed: the database refuses a second."""
    Invoice.objects.create(tenant=tenant, period="2026-10", currency="USD")


TROUBLES = [gap, unknown_plan, unknown_currency, invoiced_otherwise]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_one_that_can_not_be_closed_keeps_nobody_from_an_invoice(
    trouble: Callable[[Tenant], None], caplog: pytest.LogCaptureFixture
) -> None:
    tenants = [customer() for _ in range(7)]
    sick = tenants[3]
    credits.grant(sick, Decimal(5), "USD", reason="A gift", key="gift", now=at(10, 3))
    trouble(sick)
    counted = closing.FAILED._value.get()
    with caplog.at_level(logging.ERROR), pytest.raises(NotClosed, match=sick.slug) as told:
        close_all(tenants)
    assert told.value.slugs == (sick.slug,)
    assert closing.FAILED._value.get() == counted + 1
    assert "a person must look" in caplog.text
    billed = Invoice.objects.filter(number__isnull=False)
    assert {one.tenant_id for one in billed} == {tenant.pk for tenant in tenants} - {sick.pk}
    assert sorted(one.number or "" for one in billed) == [f"P-2026-{number:06d}" for number in range(1, 7)]
    assert NumberSeries.objects.get(series="P", year=2026).last == 6
    assert not Closing.objects.filter(tenant=sick).exists()
    assert Credit.objects.get(tenant=sick).remaining == 5
    assert Event.objects.filter(kind="invoice.issued").count() == 6


def test_once_it_is_healed_it_is_billed_with_the_next_number() -> None:
    tenants = [customer() for _ in range(3)]
    invoiced_otherwise(tenants[1])
    with pytest.raises(NotClosed):
        close_all(tenants)
    Invoice.objects.filter(number=None).delete()
    (healed,) = close_all(tenants).values()
    assert (healed.tenant_id, healed.number) == (tenants[1].pk, "P-2026-000003")


def test_the_workers_hour_goes_on_and_tries_again(caplog: pytest.LogCaptureFixture) -> None:
    tenants = [customer(since=at(10)) for _ in range(3)]
    gap(tenants[0])
    assert [close_due(at(11, 1, 1)), close_due(at(11, 1, 2))] == [2, 0]
    assert caplog.text.count(f"2026-10 of {tenants[0].slug} could not be closed") == 2


def test_the_command_says_what_was_issued_names_who_was_not_and_fails() -> None:
    tenants = [customer() for _ in range(3)]
    gap(tenants[0])
    out = StringIO()
    with pytest.raises(CommandError, match=f"2026-10 of {tenants[0].slug} could not be closed"):
        call_command("close_period", "--month", "2026-10", "--json", stdout=out)
    assert json.loads(out.getvalue())["issued"] == 2


def test_a_clock_that_can_not_close_a_month_stops_there() -> None:
    tenant = customer(since=timezone.now())
    Invoice.objects.create(tenant=tenant, period=str(Period.of(timezone.now())), currency="USD")
    with pytest.raises(CommandError, match="could not be closed"):
        call_command("billing_clock", "--tenant", tenant.slug, "--advance", "90d")


# --- again ---


def test_voided_months_of_many_are_billed_anew_once_with_their_credits() -> None:
    tenants = [customer() for _ in range(4)]
    for tenant in tenants:
        credits.grant(tenant, Decimal(9), "USD", reason="A gift", key="gift", now=at(10, 3))
    first = close_all(tenants)
    for tenant in tenants[:2]:
        void_invoice(invoice=first[tenant.pk], now=at(11, 2))
    chosen = Tenant.objects.filter(pk__in=[tenant.pk for tenant in tenants])
    anew = list(close_period(OCTOBER, chosen, at(11, 3), again=True))
    assert {one.tenant_id for one in anew} == {tenant.pk for tenant in tenants[:2]}
    assert {shown(one) for one in anew} == {("99.00", "9.00", "90.00")}
    assert list(close_period(OCTOBER, chosen, at(11, 3), again=True)) == []
    assert not Credit.objects.filter(remaining__gt=0).exists()


def late(tenant: Tenant) -> tuple[Invoice, Invoice]:
    """October's invoice, and November's with 5,001 late units of October on it."""
    use(tenant, at(10, 3), 19_999)
    october = close(tenant, 10)
    use(tenant, at(10, 31, 23), 5_001)
    return october, close(tenant, 11)


def test_a_month_whose_late_units_are_billed_is_not_voided_before_they_are() -> None:
    tenant = customer("basic")
    october, november = late(tenant)
    with pytest.raises(NotPossible, match=f"stand on {november.number}: void that first"):
        void_invoice(invoice=october, now=at(12, 2))
    void_invoice(invoice=november, now=at(12, 2))
    void_invoice(invoice=october, now=at(12, 2))
    anew = [close(tenant, month, at(12, 3), again=True) for month in (10, 11)]
    assert [shown(one)[2] for one in anew] == ["204.00", "99.00"]
    units = sum(
        line.quantity for line in InvoiceLine.objects.filter(tenant=tenant, void=False).exclude(component="plan")
    )
    assert units == 15_000


def test_a_month_voided_meanwhile_is_not_billed_twice_by_again() -> None:
    """Voided at the very moment in which its late units were put on the next invoice."""
    tenant = customer("basic")
    october, november = late(tenant)
    mark_paid(invoice=november, now=at(12, 2), how="x")
    Invoice.objects.filter(pk=october.pk).update(status="void", voided_at=at(12, 2))
    with pytest.raises(NotClosed):
        close(tenant, 10, at(12, 3), again=True)
    assert Invoice.objects.filter(tenant=tenant, period="2026-10").count() == 1
