"""Billing details stand on the invoices issued after them, and the audit trail says what was changed."""

import pytest

from apps.accounts.models import AuditEntry
from apps.billing.invoicing.documents import html_of
from apps.billing.subscriptions.services import BillingDetails, set_billing_details
from tests.billing.conftest import at, close, customer

pytestmark = pytest.mark.django_db
DETAILS = BillingDetails("Bob GmbH & Co. KG", "Ring 1\n10115 Berlin", "DE", "DE136695976", "bills@example.com")


def test_they_stand_on_the_next_invoice_and_are_audited_by_field() -> None:
    tenant = customer()
    for _ in range(2):  # harmless when repeated
        set_billing_details(tenant_id=tenant.pk, details=DETAILS, now=at(10, 2), actor="ann")
    entry = AuditEntry.objects.get(action="subscription.billing_details")
    assert (entry.before["tax_id"], entry.after["tax_id"]) == ("", "DE136695976")
    page = html_of(close(tenant, 10))
    for said in ("Bob GmbH &amp; Co. KG", "Ring 1<br>10115 Berlin", "Germany", "Tax id DE136695976"):
        assert said in page
    changed = DETAILS._replace(country="AT", tax_id="ATU13585627")
    set_billing_details(tenant_id=tenant.pk, details=changed, now=at(11, 2), actor="ann")
    latest = AuditEntry.objects.filter(action="subscription.billing_details").latest("pk")
    assert latest.before == {"country": "DE", "tax_id": "DE136695976"}
