"""Money by bank transfer: in full, in part, too much; kept, moved on, given back."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from apps.accounts.models import AuditEntry
from apps.billing.collecting.providers import get_gateway
from apps.billing.collecting.refunds import CanNotRefund, left_of, refund
from apps.billing.collecting.transfers import record_transfer
from apps.billing.invoicing.invoices import NotPossible, issue_credit_note, void_invoice
from apps.billing.models import Invoice, Payment, Subscription
from apps.billing.receivables import receivables
from apps.billing.subscriptions.services import set_status
from apps.notifications.models import Event
from tests.billing.conftest import at, close, customer

pytestmark = pytest.mark.django_db


def transfer(invoice: Invoice, amount: str, form: str = "a", day: date = date(2026, 11, 5), **more: Any) -> Payment:
    said = {"invoice": invoice, "amount": Decimal(amount), "received": day, "reference": "thanks", "now": at(11, 6)}
    return record_transfer(**said | {"form": form} | more)


def kinds(invoice: Invoice) -> list[str]:
    return sorted(Event.objects.filter(tenant=invoice.tenant).values_list("kind", flat=True))


def give_back(payment: Payment, amount: str) -> None:
    payment.refresh_from_db()
    refund(payment=payment, amount=Decimal(amount), reason="asked", gateway=get_gateway(), now=at(11, 9))
    payment.refresh_from_db()


def test_a_transfer_pays_an_invoice_and_is_a_payment_of_its_day() -> None:
    invoice = close(customer(), 10)
    payment = transfer(invoice, "99.00")
    assert (invoice.status, invoice.paid_how) == ("paid", "bank transfer")
    assert (payment.created_at, payment.reference, payment.status) == (at(11, 5), "thanks", "succeeded")
    assert kinds(invoice) == ["invoice.issued", "invoice.paid", "payment.succeeded"]
    after = AuditEntry.objects.get(action="payment.received").after
    assert after == {"amount": "99.00 USD", "received": "2026-11-05", "reference": "thanks"}


def test_a_part_leaves_the_rest_open() -> None:
    invoice = close(customer(), 10)
    transfer(invoice, "40.00")
    assert (invoice.status, str(receivables.due(invoice))) == ("issued", "59.00")
    told = Event.objects.get(kind="invoice.partly_paid").data
    assert (told["amount"], told["amount_due"]) == ("40.00", "59.00")
    transfer(invoice, "59.00", form="b")
    assert (invoice.status, str(receivables.due(invoice))) == ("paid", "0.00")


def test_the_same_form_twice_is_one_payment() -> None:
    invoice = close(customer(), 10)
    assert transfer(invoice, "40.00") == transfer(invoice, "40.00")
    assert Payment.objects.filter(invoice=invoice).count() == 1


def test_too_much_is_kept_and_pays_the_next_invoice_tax_and_all() -> None:
    tenant = customer()
    Subscription.objects.filter(tenant=tenant).update(tax_name="VAT", tax_percent=Decimal(19))
    first = close(tenant, 9)
    payment = transfer(first, "150.00")
    assert (first.status, str(payment.unapplied)) == ("paid", "32.19")
    assert Event.objects.get(kind="invoice.paid").data["kept"] == "32.19"
    second = close(tenant, 10, at(11, 7))
    assert (str(second.total), str(receivables.due(second))) == ("117.81", "85.62")
    assert "transfer 85.62 USD" in Event.objects.filter(kind="invoice.issued").latest("occurred_at").data["how_to_pay"]
    moved = Payment.objects.get(invoice=second)
    assert (moved.provider, moved.source, moved.reference) == ("balance", payment, f"from {first.number}")


def test_an_invoice_that_was_paid_before_it_was_issued_asks_for_nothing() -> None:
    tenant = customer()
    transfer(close(tenant, 9), "300.00")
    second, third = close(tenant, 10, at(11, 7)), close(tenant, 11, at(12, 7))
    assert [(one.status, one.paid_how) for one in (second, third)] == [("paid", "earlier over-payment")] * 2
    assert str(Payment.objects.get(provider="transfer").unapplied) == "3.000"


def test_too_much_pays_other_open_invoices_at_once() -> None:
    tenant = customer()
    first, second = close(tenant, 9), close(tenant, 10)
    transfer(second, "198.00")
    first.refresh_from_db()
    assert (first.status, second.status) == ("paid", "paid")


def test_money_for_a_paid_invoice_is_kept() -> None:
    invoice = close(customer(), 10)
    transfer(invoice, "99.00")
    assert str(transfer(invoice, "99.00", form="b").unapplied) == "99.00"


def test_a_transfer_is_given_back_first_what_was_kept() -> None:
    invoice = close(customer(), 10)
    payment = transfer(invoice, "120.00")
    give_back(payment, "25.00")
    assert (str(payment.unapplied), str(payment.amount_refunded), str(left_of(payment))) == ("0.000", "25.000", "95.00")
    give_back(payment, "95.00")
    assert (payment.status, str(left_of(payment))) == ("refunded", "0.00")
    with pytest.raises(CanNotRefund):
        give_back(payment, "0.01")


def test_what_moved_on_is_given_back_where_it_went() -> None:
    tenant = customer()
    payment = transfer(close(tenant, 9), "120.00")
    second = close(tenant, 10, at(11, 7))
    payment.refresh_from_db()
    assert str(left_of(payment)) == "99.00"
    give_back(Payment.objects.get(invoice=second), "21.00")
    assert str(receivables.due(Invoice.objects.get(pk=second.pk))) == "99.00"


def test_a_part_that_is_given_back_is_owed_again() -> None:
    invoice = close(customer(), 10)
    payment = transfer(invoice, "40.00")
    give_back(payment, "40.00")
    assert str(receivables.due(Invoice.objects.get(pk=invoice.pk))) == "99.00"


def test_a_note_beyond_what_is_open_frees_what_was_paid() -> None:
    invoice = close(customer(), 10)
    payment = transfer(invoice, "40.00")
    issue_credit_note(invoice=invoice, amount=Decimal("70.00"), reason="x", now=at(11, 7))
    payment.refresh_from_db()
    assert (invoice.status, str(payment.unapplied)) == ("paid", "11.000")


def test_paying_the_rest_restores_who_was_limited() -> None:
    tenant = customer()
    invoice = close(tenant, 9)
    set_status(tenant_id=tenant.pk, status="limited", now=at(11, 1))
    transfer(invoice, "98.99")
    assert Subscription.objects.get(tenant=tenant).status == "limited"
    transfer(invoice, "0.01", form="b")
    assert Subscription.objects.get(tenant=tenant).status == "active"


@pytest.mark.parametrize(
    ("amount", "day"), [("0", date(2026, 11, 5)), ("1.001", date(2026, 11, 5)), ("1", date(2026, 11, 7))]
)
def test_what_can_not_be_is_refused(amount: str, day: date) -> None:
    with pytest.raises(NotPossible):
        transfer(close(customer(), 10), amount, day=day)


def test_a_partly_paid_invoice_is_not_voided() -> None:
    invoice = close(customer(), 10)
    transfer(invoice, "40.00")
    with pytest.raises(NotPossible, match=r"40\.00 USD"):
        void_invoice(invoice=invoice, now=at(11, 7))
