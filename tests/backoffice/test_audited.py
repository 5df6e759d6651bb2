"""Every operators' page that changes something leaves a line of the audit trail: the pages are walked, not chosen."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory

from apps.accounts.models import AuditEntry, Tenant, User
from tests.backoffice.test_admin import address, first_row, rows

__all__ = ["rows"]  # a fixture, which pytest finds here
pytestmark = pytest.mark.django_db(transaction=True)

#: page → the line it leaves.
LINES: Mapping[str, str] = {
    "accounts.tenant add": "tenant.created",
    "accounts.tenant change": "tenant.changed",
    "accounts.tenant suspend": "tenant.suspended",
    "accounts.tenant reinstate": "tenant.reinstated",
    "accounts.user add": "user.created",
    "accounts.user change": "user.changed",
    "accounts.membership add": "membership.created",
    "accounts.membership change": "membership.changed",
    "accounts.membership delete": "membership.deleted",
    "accounts.membership delete_selected": "membership.deleted",
    "api_keys.apikey add": "key.created",
    "api_keys.apikey revoke": "key.revoked",
    "auth.group add": "group.created",
    "auth.group change": "group.changed",
    "billing.coupon add": "coupon.created",
    "billing.coupon change": "coupon.changed",
    "billing.couponredemption add": "coupon.redeemed",
    "billing.credit add": "credit.granted",
    "billing.creditnote add": "invoice.credit_note",
    "billing.invoice issue": "invoice.issued",
    "billing.invoice void": "invoice.voided",
    "billing.invoice credit": "invoice.credit_note",
    "billing.payment ask_chosen": "payment.asked",
    "billing.payment refund": "payment.refunded",
    "billing.providerevent replay_chosen": "provider_event.replayed",
    "billing.refund add": "payment.refunded",
    "billing.subscription add": "subscription.changed",
    "billing.subscription change": "subscription.changed",
    "notifications.delivery send_again": "delivery.replayed",
    "notifications.webhookendpoint switch_off": "webhook.changed",
    "notifications.webhookendpoint switch_on": "webhook.changed",
    "sla.incident change": "incident.noted",
    "sla.maintenance add": "maintenance.announced",
    "sla.maintenance withdraw": "maintenance.withdrawn",
    "support.supportrequest answered": "support.answered",
}
#: Acts on a list's rows that `rows` has in the right state to be acted on.
ACTED = (
    "accounts.tenant suspend",
    "accounts.membership delete_selected",
    "api_keys.apikey revoke",
    "billing.invoice credit",
    "billing.providerevent replay_chosen",
    "notifications.delivery send_again",
    "notifications.webhookendpoint switch_off",
    "notifications.webhookendpoint switch_on",
    "sla.maintenance withdraw",
)


def pages() -> Iterator[str]:
    """What a superuser may do, page by page."""
    request: Any = RequestFactory().get("/admin/")
    request.user = User(is_superuser=True, is_staff=True, is_active=True)
    for model, page in admin.site._registry.items():
        name = model._meta.label_lower
        may = {
            "add": page.has_add_permission(request),
            "change": page.has_change_permission(request, model()),
            "delete": page.has_delete_permission(request, model()),
        }
        yield from (f"{name} {what}" for what, allowed in may.items() if allowed)
        yield from (f"{name} {action}" for action in page.get_actions(request))


def test_every_page_that_changes_something_says_which_line_it_leaves() -> None:
    assert set(pages()) == set(LINES)


@pytest.mark.parametrize("page", ACTED)
def test_an_act_on_chosen_rows_leaves_its_line(browser: Client, operator: User, rows: None, page: str) -> None:
    model, _, action = page.partition(" ")
    row = first_row(model)
    before = set(AuditEntry.objects.values_list("pk", flat=True))
    said = {"action": action, "_selected_action": [row.pk], "reason": "it had to be", "post": "yes"}
    assert browser.post(address(model, "changelist"), said).status_code in (200, 302)
    left = AuditEntry.objects.exclude(pk__in=before)
    assert {entry.action for entry in left} == {LINES[page]}
    assert {entry.actor for entry in left} == {operator.email}
    assert all(entry.request_id for entry in left)


def forms(tenant_id: int) -> Mapping[str, dict[str, Any]]:
    """What is sent to pages that no other test sends anything to."""
    return {
        "accounts.tenant change": {"name": "Alice and Company"},
        "auth.group change": {"name": "second line"},
        "billing.coupon add": {"code": "NEW", "percent": "10"},
        "billing.coupon change": {"code": "HALF", "percent": "50", "description": "for friends"},
        "sla.incident change": {"note": "We look into it.", "notes-TOTAL_FORMS": "0", "notes-INITIAL_FORMS": "0"},
        "sla.maintenance add": {
            "title": "A larger disk",
            **{f"{name}_0": "2099-01-01" for name in ("starts_at", "ends_at")},
            "starts_at_1": "02:00",
            "ends_at_1": "03:00",
        },
        "billing.credit add": {"tenant": tenant_id, "amount": "5", "key": "outage", "reason": "an outage"},
    }


@pytest.mark.parametrize("page", forms(0))
def test_a_form_leaves_its_line(browser: Client, operator: User, rows: None, page: str) -> None:
    model, _, what = page.partition(" ")
    path = address(model, what, *([first_row(model).pk] if what == "change" else []))
    before = set(AuditEntry.objects.values_list("pk", flat=True))
    answer = browser.post(path, forms(Tenant.objects.get(slug="alice").pk)[page])
    assert answer.status_code == 302, answer.content.decode()[-3000:]
    (entry,) = AuditEntry.objects.exclude(pk__in=before)
    assert (entry.action, entry.actor) == (LINES[page], operator.email)
