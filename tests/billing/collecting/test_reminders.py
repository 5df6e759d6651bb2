"""Who transfers is reminded before the due date and after; who has a card hears of each failure instead."""

from datetime import timedelta

import pytest

from apps.billing.collecting.payments import collect_due
from apps.billing.collecting.providers import get_gateway
from apps.notifications.mail import render
from apps.notifications.models import Event
from tests.billing.conftest import at, close, customer

pytestmark = pytest.mark.django_db

DUE = at(11, 15)


def told_by_day(tenant_id: int, days: range) -> dict[int, str]:
    """Day from the due date → what became of the reminder: overdue days and the next step."""
    found: dict[int, str] = {}
    for day in days:
        before = Event.objects.filter(kind="invoice.reminder").count()
        collect_due(get_gateway(), DUE + timedelta(days=day), tenant_ids=[tenant_id])
        rows = Event.objects.filter(kind="invoice.reminder").order_by("occurred_at")
        if rows.count() > before:
            data = rows[before].data
            found[day] = f"{data['overdue_days']} {data['next_step']} {(data['next_step_at'] or '')[:10]}"
    return found


def test_reminders_come_before_the_due_date_and_after_it_and_say_what_follows() -> None:
    tenant = customer()
    close(tenant, 10)
    assert told_by_day(tenant.pk, range(-14, 40)) == {
        -3: "0 None ",
        3: "3 limited 2026-11-22",
        14: "14 cancelled 2026-12-16",
        28: "28 cancelled 2026-12-16",
    }


def test_a_worker_that_was_away_reminds_once_and_not_of_what_is_over() -> None:
    tenant = customer()
    close(tenant, 10)
    assert list(told_by_day(tenant.pk, range(1, 3))) == []
    assert list(told_by_day(tenant.pk, range(20, 22))) == [20]


def test_a_reminder_reads_as_people_write() -> None:
    tenant = customer()
    invoice = close(tenant, 10)
    collect_due(get_gateway(), DUE + timedelta(days=3), tenant_ids=[tenant.pk])
    subject, text = render("invoice.reminder", Event.objects.get(kind="invoice.reminder").data | {"tenant": "A & B"})
    assert subject == f"Invoice {invoice.number} is 3 days overdue"
    assert f"Please transfer 99.00 USD with the reference {invoice.number} to:" in text
    assert "by 22 November 2026, calls are limited" in text
