"""What an invoice says of who it is from and how it is paid."""

import logging
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.billing.invoicing.documents import html_of, pdf_of
from apps.billing.invoicing.invoices import issue_credit_note, mark_paid, void_invoice
from apps.billing.models import Invoice, Payment, PaymentCard, Refund, Subscription
from apps.billing.subscriptions.services import change_plan
from config import checks
from tests.billing.conftest import at, close, customer

pytestmark = pytest.mark.django_db

TRANSFER = "Please transfer 99.00 USD by 15 November 2026 with the reference {} to:"
SELLER = {"name": "Seller AG", "address": "A Road 1\nA Town", "tax_id": "DE1", "payment_details": "A Bank\nIBAN DE2"}


def give_card(tenant: Tenant) -> None:
    PaymentCard.objects.create(
        tenant=tenant, customer="cus_1", card="pm_1", brand="visa", last4="4242", chosen_at=timezone.now()
    )


def test_an_open_invoice_says_who_it_is_from_and_how_it_is_paid(settings: Any) -> None:
    settings.SELLER = SELLER
    invoice = close(customer(), 10)
    page = html_of(invoice)
    assert TRANSFER.format(invoice.number) in page
    for said in ("Seller AG", "A Road 1<br>A Town", "Tax id DE1", "A Bank<br>IBAN DE2", "due 15 November 2026"):
        assert said in page


def test_an_issued_invoice_goes_on_looking_as_it_was_issued(settings: Any) -> None:
    settings.SELLER = SELLER
    invoice = close(customer(), 10)
    before = html_of(invoice)
    settings.SELLER = SELLER | {"name": "Somebody else"}
    assert html_of(Invoice.objects.get(pk=invoice.pk)) == before


def test_an_invoice_older_than_the_sellers_copy_shows_todays_setting() -> None:
    assert "Palisade Example Ltd" in html_of(Invoice(tenant=customer(), currency="USD", seller={}, pk=-1))


def test_who_has_a_card_is_not_asked_for_a_transfer(settings: Any) -> None:
    tenant = customer()
    invoice = close(tenant, 10)
    give_card(tenant)
    assert "Please transfer" in html_of(invoice)  # nobody charges cards here
    settings.STRIPE_API_KEY = "sk_test_1"
    page = html_of(invoice)
    assert "99.00 USD will be charged to your card (visa •••• 4242)." in page
    assert "Please transfer" not in page
    assert "IBAN" not in page


def test_what_is_corrected_is_not_to_be_transferred() -> None:
    invoice = close(customer(), 10)
    issue_credit_note(invoice=invoice, amount=Decimal("9.00"), reason="x", now=at(11, 2))
    assert "Please transfer 90.00 USD by" in html_of(invoice)


def test_paid_and_void_invoices_ask_for_nothing() -> None:
    paid, void = close(customer(), 10), close(customer(), 10)
    mark_paid(invoice=paid, now=at(11, 3), how="bank transfer")
    void_invoice(invoice=void, now=at(11, 3))
    assert "paid 3 November 2026" in html_of(paid)
    assert "VOID" in html_of(void)
    assert "Please transfer" not in html_of(paid) + html_of(void)


def test_tax_stands_on_paper_where_there_is_any() -> None:
    none, some, zero = (customer() for _ in range(3))
    Subscription.objects.filter(tenant=some).update(tax_name="VAT", tax_percent=Decimal(19))
    Subscription.objects.filter(tenant=zero).update(tax_name="VAT, reverse charge")
    assert " %" not in html_of(close(none, 10)).split("</style>")[1]
    assert "VAT 19 %" in html_of(close(some, 10))
    assert "VAT, reverse charge 0 %" in html_of(close(zero, 10))


def test_a_plan_of_a_moment_that_cost_nothing_stays_in_the_books_and_off_the_paper() -> None:
    tenant = customer("basic", since=at(10))
    change_plan(tenant_id=tenant.pk, plan="professional", now=at(10, 1) + timedelta(milliseconds=500))
    invoice = close(tenant, 10)
    page = html_of(invoice)
    assert [line.amount for line in invoice.lines.all()] == [0, 299]
    assert "Basic plan" not in page
    assert "Professional plan" in page


def test_corrections_and_refunds_stand_on_paper() -> None:
    invoice = close(customer(), 10)
    now = at(11, 4)
    mark_paid(invoice=invoice, now=at(11, 3), how="bank transfer")
    note = issue_credit_note(invoice=invoice, amount=Decimal("5.00"), reason="<too> much", now=now)
    facts: dict[str, Any] = {"created_at": now, "updated_at": now}
    payment = Payment.objects.create(
        invoice=invoice, tenant=invoice.tenant, attempt=1, provider="stripe", amount=99, currency="USD",
        status="succeeded", idempotency_key="pay_1", **facts,
    )  # fmt: skip
    for status, amount in (("done", "3.00"), ("failed", "2.00"), ("intent", "1.00")):
        Refund.objects.create(
            payment=payment, amount=Decimal(amount), reason="x", status=status, idempotency_key=status, **facts
        )
    page = html_of(invoice)
    assert f"Credit note {note.number}, 4 November 2026: &lt;too&gt; much: 5.00 USD." in page
    assert "Refunded 4 November 2026: 3.00 USD." in page
    assert page.count("Refunded") == 1


def test_drawing_a_pdf_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    pdf_of(close(customer(), 10))
    assert not [record.name for record in caplog.records if record.name.startswith(("weasyprint", "fontTools"))]


def test_the_deployment_check_names_what_is_still_the_example(settings: Any) -> None:
    settings.SELLER_UNSET = ["PALISADE_SELLER_NAME"]
    (warning,) = checks.seller_is_set(None)
    assert "PALISADE_SELLER_NAME" in warning.msg
    settings.SELLER_UNSET = []
    assert checks.seller_is_set(None) == []
