"""A month becomes one invoice, once, exact; afterwards it is paid, voided or corrected, and never changed."""

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from apps.billing.invoicing import credits
from apps.billing.invoicing.invoices import (
    NotPossible,
    draft_invoice,
    invoiced_by_day,
    issue,
    issue_credit_note,
    mark_paid,
    void_invoice,
)
from apps.billing.models import Coupon, Credit, Invoice, InvoiceDeduction, InvoiceLine, Subscription
from apps.billing.subscriptions.services import cancel, change_plan
from apps.notifications.models import Event
from apps.periods import Period
from tests.billing.conftest import at, close, customer, use

pytestmark = pytest.mark.django_db

Amounts = Callable[[Invoice], list[tuple[str, str]]]


def owed(invoice: Invoice) -> str:
    return str(invoice.money(invoice.total))


@pytest.mark.parametrize(
    ("plan", "units", "total"),
    [("free", 1_001, "0.01"), ("basic", 20_001, "179.01"), ("professional", 200_000, "849.00"),
     ("enterprise", 1_000_000, "2399.00")],
)  # fmt: skip
def test_a_month_is_invoiced_at_the_golden_total(plan: str, units: int, total: str) -> None:
    tenant = customer(plan)
    use(tenant, at(10, 12, 9), units)
    invoice = close(tenant, 10)
    assert (str(invoice.money(invoice.total)), invoice.units, invoice.status) == (total, units, "issued")
    assert invoice.subtotal == sum(line.amount for line in invoice.lines.all())
    assert invoice.due_at == invoice.issued_at + timedelta(days=14)


def test_closing_twice_is_closing_once() -> None:
    tenant = customer()
    first = close(tenant, 10)
    assert close(tenant, 10, at(11, 5)) is None
    assert list(Invoice.objects.filter(tenant=tenant)) == [first]


def test_a_month_that_is_not_over_is_not_closed() -> None:
    with pytest.raises(NotPossible):
        close(customer(), 10, at(10, 31, 23))


def test_months_before_the_sign_up_are_nobodys() -> None:
    tenant = customer(since=at(10, 16))
    assert close(tenant, 9) is None
    assert owed(close(tenant, 10)) == "51.10"  # 16 of 31 days


def test_nothing_used_on_free_is_no_invoice_and_a_little_is_one_of_nothing() -> None:
    tenant = customer("free")
    assert close(tenant, 10) is None
    use(tenant, at(11, 3), 900)
    invoice = close(tenant, 11)
    assert (invoice.total, invoice.status, invoice.paid_how) == (0, "paid", "nothing due")


def test_numbers_follow_on_and_begin_anew_each_year() -> None:
    tenant = customer()
    numbers = [close(tenant, month).number for month in (9, 10, 11)]
    numbers += [close(tenant, 12, at(1, 1, year=2027)).number]
    heads, tails = zip(*(number.rsplit("-", 1) for number in numbers), strict=True)
    assert heads == ("P-2026", "P-2026", "P-2026", "P-2027")
    assert [int(tail) for tail in tails] == [int(tails[0]), int(tails[0]) + 1, int(tails[0]) + 2, 1]


def test_an_upgrade_is_prorated_and_its_units_are_priced_where_they_were_used(amounts: Amounts) -> None:
    tenant = customer("basic")
    use(tenant, at(11, 15, 23, 59), 20_000)
    change = change_plan(tenant_id=tenant.pk, plan="professional", now=at(11, 16))
    use(tenant, at(11, 16, 0, 30), 20_000)
    assert change.kind == "at_once"
    invoice = close(tenant, 11)
    assert invoice.included == 30_000
    assert amounts(invoice) == [
        ("plan", "49.50"),
        ("plan", "149.50"),
        ("overage.professional-2026-11.1", "60.00"),
    ]


def test_a_downgrade_waits_for_the_months_end(amounts: Amounts) -> None:
    tenant = customer("professional")
    change = change_plan(tenant_id=tenant.pk, plan="basic", now=at(10, 5))
    assert (change.kind, change.at) == ("at_period_end", at(11))
    assert amounts(close(tenant, 10)) == [("plan", "299.00")]
    assert amounts(close(tenant, 11)) == [("plan", "99.00")]


def test_who_cancels_pays_to_the_months_end_and_nothing_after() -> None:
    tenant = customer("basic")
    cancel(tenant_id=tenant.pk, now=at(10, 30))
    assert owed(close(tenant, 10)) == "99.00"
    assert close(tenant, 11) is None


def test_usage_stands_on_the_invoice_by_day_and_endpoint() -> None:
    tenant = customer()
    use(tenant, at(10, 1, 0, 0), 5)
    use(tenant, at(10, 31, 23, 59), 7, endpoint="batch")
    use(tenant, at(10, 31, 23, 59), 100, livemode=False)
    usage = close(tenant, 10).usage
    assert [tuple(row) for row in usage["by_day"]] == [("2026-10-01", 5), ("2026-10-31", 7)]
    assert [tuple(row) for row in usage["by_endpoint"]] == [("batch", 7), ("decisions", 5)]


# --- late units ---


def test_late_units_are_priced_at_the_tier_of_their_own_month(amounts: Amounts) -> None:
    tenant = customer("basic")
    use(tenant, at(10, 3), 19_999)
    close(tenant, 10)
    use(tenant, at(10, 31, 23), 5_001)  # one at 0.008, the rest at 0.005
    invoice = close(tenant, 11)
    assert amounts(invoice) == [("plan", "99.00"), ("late.2026-10", "25.01")]
    assert "recorded late: 5,001 units" in invoice.lines.last().description
    assert sum(invoiced_by_day(tenant.pk, Period(2026, 10)).values()) == 25_000


def test_late_units_are_billed_once_also_when_they_come_twice() -> None:
    tenant = customer("basic")
    use(tenant, at(9, 3), 10_000)
    close(tenant, 9)
    use(tenant, at(9, 30), 1_000)
    close(tenant, 10)
    use(tenant, at(9, 30), 500)
    owed = [str(line.amount) for line in InvoiceLine.objects.filter(tenant=tenant, component="late.2026-09")]
    assert owed == ["8.000"]
    close(tenant, 11)
    owed = [str(line.amount) for line in InvoiceLine.objects.filter(tenant=tenant, component="late.2026-09")]
    assert owed == ["8.000", "4.000"]
    assert [close(tenant, month, at(2, 1, year=2027)) for month in (9, 10, 11)] == [None] * 3


def test_late_units_within_the_included_cost_nothing() -> None:
    tenant = customer("basic")
    close(tenant, 10)
    use(tenant, at(10, 31), 10_000)
    invoice = close(tenant, 11)
    assert owed(invoice) == "99.00"
    assert invoice.lines.get(component="late.2026-10").quantity == 10_000


# --- credits, coupons, tax ---


def taxed(percent: str = "19", **agreed: Any) -> Any:
    tenant = customer("basic", **agreed)
    Subscription.objects.filter(tenant=tenant).update(tax_name="VAT", tax_percent=Decimal(percent))
    return tenant


def grant(tenant: Any, amount: str, key: str = "sla:2026-10", **more: Any) -> Credit:
    return credits.grant(tenant, Decimal(amount), "USD", reason="SLA credit", key=key, now=at(10, 1), **more)


def test_tax_is_on_what_is_left_after_credits() -> None:
    tenant = taxed()
    grant(tenant, "10.00")
    invoice = close(tenant, 10)
    sums = [str(invoice.money(one)) for one in (invoice.subtotal, invoice.credits, invoice.tax, invoice.total)]
    assert sums == ["99.00", "10.00", "16.91", "105.91"]
    assert (invoice.tax_name, invoice.tax_percent) == ("VAT", 19)


def test_credits_are_used_up_the_first_to_expire_first_and_never_below_zero() -> None:
    tenant = taxed("0")
    grant(tenant, "60.00", "later", expires_at=at(12, 31))
    grant(tenant, "60.00", "sooner", expires_at=at(11, 15))
    grant(tenant, "60.00", "over", expires_at=at(10, 31))
    invoice = close(tenant, 10)
    left = {credit.key: str(credit.remaining) for credit in Credit.objects.filter(tenant=tenant)}
    assert left == {"later": "21.000", "sooner": "0.000", "over": "60.000"}
    assert (invoice.total, invoice.status) == (0, "paid")
    assert [str(deduction.amount) for deduction in invoice.deductions.all()] == ["60.000", "39.000"]


def test_granting_the_same_twice_is_granting_it_once() -> None:
    tenant = taxed()
    assert grant(tenant, "10.00") == grant(tenant, "10.00")
    assert Credit.objects.filter(tenant=tenant).count() == 1
    for wrong in ("0", "-1", "0.001"):
        with pytest.raises(ValueError):
            grant(tenant, wrong, "wrong")


def test_a_coupon_holds_for_its_months() -> None:
    tenant = taxed("0")
    Coupon.objects.create(code="HALF", percent=Decimal(50), months=2)
    credits.redeem(tenant=tenant, code="half", currency="USD", now=at(10, 20))
    credits.redeem(tenant=tenant, code="HALF", currency="USD", now=at(12, 20))
    assert [owed(close(tenant, month)) for month in (9, 10, 11, 12)] == ["99.00", "49.50", "49.50", "99.00"]


@pytest.mark.parametrize(
    "coupon",
    [{"percent": 10, "redeem_by": at(10, 1)}, {"amount": 5, "currency": "EUR"}, None],
)
def test_coupons_that_do_not_hold_are_refused(coupon: dict[str, Any] | None) -> None:
    if coupon:
        Coupon.objects.create(code="NO", **coupon)
    with pytest.raises(credits.NotRedeemable):
        credits.redeem(tenant=customer(), code="NO", currency="USD", now=at(10, 2))


# --- paid, void, corrected ---


def test_paying_twice_is_paying_once() -> None:
    invoice = close(customer(), 10)
    assert mark_paid(invoice=invoice, now=at(11, 3), how="bank transfer")
    assert not mark_paid(invoice=invoice, now=at(11, 4), how="bank transfer")
    assert (invoice.status, invoice.paid_at) == ("paid", at(11, 3))
    kinds = Event.objects.filter(tenant=invoice.tenant).values_list("kind", flat=True)
    assert sorted(kinds) == ["invoice.issued", "invoice.paid"]


def test_a_voided_invoice_gives_credits_back_and_its_month_can_be_billed_anew() -> None:
    tenant = taxed("0")
    credit = grant(tenant, "10.00")
    first = close(tenant, 10)
    void_invoice(invoice=first, now=at(11, 2))
    credit.refresh_from_db()
    assert str(credit.remaining) == "10.000"
    assert close(tenant, 10, at(11, 3)) is None
    second = close(tenant, 10, at(11, 3), again=True)
    assert (second.number > first.number, owed(second)) == (True, "89.00")
    assert close(tenant, 10, at(11, 4), again=True) is None
    with pytest.raises(NotPossible):
        mark_paid(invoice=first, now=at(11, 4), how="x")


def test_a_paid_invoice_is_not_voided_but_corrected() -> None:
    tenant = taxed()
    invoice = close(tenant, 10)
    mark_paid(invoice=invoice, now=at(11, 3), how="bank transfer")
    with pytest.raises(NotPossible):
        void_invoice(invoice=invoice, now=at(11, 4))
    note = issue_credit_note(
        invoice=invoice, amount=Decimal("11.90"), reason="too much", now=at(11, 4), to_balance=True
    )
    assert (note.number[:7], str(note.tax)) == ("C-2026-", "1.90")
    credit = Credit.objects.get(tenant=tenant)
    assert str(credit.remaining) == "10.000"
    assert credit.reason == f"Credit note {note.number} (10.00 net of 19 % VAT): too much"
    with pytest.raises(NotPossible):
        issue_credit_note(invoice=invoice, amount=invoice.total, reason="again", now=at(11, 4))


def test_an_unpaid_invoice_that_is_wholly_corrected_is_settled() -> None:
    invoice = close(customer(), 10)
    issue_credit_note(invoice=invoice, amount=invoice.total, reason="a mistake", now=at(11, 4))
    assert (invoice.status, invoice.paid_how) == ("paid", "credit note")


def test_a_draft_by_hand_is_issued_like_any_other() -> None:
    tenant = taxed()
    draft = draft_invoice(
        tenant=tenant, description="Training day", amount=Decimal(500), start=at(10, 1), end=at(10, 2), now=at(10, 3)
    )
    assert (draft.status, draft.number) == ("draft", None)
    issue([draft], at(10, 4))
    assert (draft.status, owed(draft)) == ("issued", "595.00")
    with pytest.raises(NotPossible):
        issue([draft], at(10, 4))


# --- what the database refuses, for everybody ---

CHANGES = [
    "UPDATE billing_invoice SET total = total + 1, subtotal = subtotal + 1 WHERE id = {id}",
    "UPDATE billing_invoice SET number = 'P-2026-999999' WHERE id = {id}",
    "UPDATE billing_invoice SET seller = '{{}}' WHERE id = {id}",
    "UPDATE billing_invoice SET usage = '{{}}' WHERE id = {id}",
    "UPDATE billing_invoice SET status = 'draft' WHERE id = {id}",
    "UPDATE billing_invoice SET tenant_id = tenant_id + 1 WHERE id = {id}",
    "DELETE FROM billing_invoice WHERE id = {id}",
    "UPDATE billing_invoiceline SET amount = 0 WHERE invoice_id = {id}",
    "UPDATE billing_invoiceline SET void = true WHERE invoice_id = {id}",
    "DELETE FROM billing_invoiceline WHERE invoice_id = {id}",
    "INSERT INTO billing_invoiceline (invoice_id, tenant_id, place, component, description, quantity, amount,"
    " starts_at, ends_at, void) VALUES ({id}, {tenant}, 99, 'x', 'x', 1, 1, now(), now() + interval '1 s', false)",
    "UPDATE billing_invoiceline SET invoice_id = {id} WHERE invoice_id = {draft}",
    "UPDATE billing_invoicededuction SET amount = 1 WHERE invoice_id = {id}",
    "DELETE FROM billing_invoicededuction WHERE invoice_id = {id}",
    "UPDATE billing_creditnote SET amount = 1 WHERE invoice_id = {id}",
    "DELETE FROM billing_creditnote WHERE invoice_id = {id}",
    "TRUNCATE billing_creditnote",
    "TRUNCATE billing_invoiceline",
    "TRUNCATE billing_invoice CASCADE",
    "UPDATE billing_planspan SET plan_code = 'free-2026-11' WHERE tenant_id = {tenant}",
    "UPDATE billing_planspan SET starts_at = starts_at - interval '1 day' WHERE tenant_id = {tenant}",
    "INSERT INTO billing_planspan (tenant_id, plan_code, starts_at, trial)"
    " VALUES ({tenant}, 'free-2026-11', now(), false)",
]


@pytest.mark.parametrize("paid", [False, True])
def test_the_database_refuses_to_change_what_was_issued(paid: bool) -> None:
    tenant = taxed()
    grant(tenant, "10.00")
    invoice = close(tenant, 10)
    issue_credit_note(invoice=invoice, amount=Decimal(1), reason="x", now=at(11, 1))
    draft = draft_invoice(tenant=tenant, description="x", amount=Decimal(1), start=at(1), end=at(2), now=at(11, 1))
    if paid:
        mark_paid(invoice=invoice, now=at(11, 2), how="x")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for change in CHANGES:
            with pytest.raises(IntegrityError), transaction.atomic():
                cursor.execute(change.format(id=invoice.pk, tenant=tenant.pk, draft=draft.pk))


@pytest.mark.parametrize(("start", "end", "refused"), [(at(10, 31), at(11, 2), True), (at(11), at(12), False)])
def test_no_component_is_charged_twice_for_the_same_time(start: Any, end: Any, refused: bool) -> None:
    tenant = customer()
    first = close(tenant, 10)
    draft = draft_invoice(tenant=tenant, description="x", amount=Decimal(1), start=start, end=end, now=at(11, 3))

    def charge() -> None:
        with transaction.atomic():
            InvoiceLine.objects.filter(invoice=draft).update(component="plan")

    if not refused:
        charge()
        return
    with pytest.raises(IntegrityError):
        charge()
    void_invoice(invoice=first, now=at(11, 4))
    charge()


def test_sums_that_do_not_add_up_are_refused_in_a_draft_too() -> None:
    draft = draft_invoice(tenant=customer(), description="x", amount=Decimal(1), start=at(1), end=at(2), now=at(11, 1))
    with pytest.raises(IntegrityError), transaction.atomic():
        Invoice.objects.filter(pk=draft.pk).update(total=Decimal(2))
    assert InvoiceDeduction.objects.filter(invoice=draft).count() == 0


# --- by hand ---


def test_the_command_closes_one_tenant_or_all() -> None:
    one, other = customer(), customer()
    out = StringIO()
    call_command("close_period", "--month", "2026-10", "--tenant", one.slug, "--json", stdout=out)
    said = json.loads(out.getvalue())
    assert (said["issued"], said["invoices"][0]["total"]) == (1, "99.00")
    call_command("close_period", "--month", "2026-10", stdout=out)
    call_command("close_period", "--month", "2026-10", stdout=out)
    assert Invoice.objects.filter(tenant__in=(one, other)).count() == 2


@pytest.mark.parametrize(
    "wrong", [["--month", "2999-01"], ["--month", "10/26"], ["--month", "2026-10", "--tenant", "x"]]
)
def test_the_command_refuses_what_makes_no_sense(wrong: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("close_period", *wrong)
