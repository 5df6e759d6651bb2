"""Days on which a tenant was limited for not paying cost nothing; limits of its own end when it is cancelled."""

from datetime import datetime
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from apps.accounts.models import AuditEntry
from apps.billing.models import Limitation, Subscription
from apps.billing.rating.money import EXPONENTS
from apps.billing.rating.plans import CURRENT, PLANS, current
from apps.billing.rating.pricing import Term, included_units, limited_during, statement
from apps.billing.subscriptions.services import cancel_now, change_plan, set_status, start_trial
from apps.periods import Period
from tests.billing.conftest import at, close, customer, use

NOVEMBER = Period(2026, 11)
LIMITS = [(at(11, 22), at(11, 29)), (at(11, 1), at(12, 1)), (at(11, 1, 6), at(11, 1, 7))]


def november(plan: str, *limits: tuple[datetime, datetime], own: int | None = None) -> list[Term]:
    return limited_during([Term(PLANS[plan], NOVEMBER.start, NOVEMBER.end, own_included=own)], limits)


@pytest.mark.parametrize("plan", CURRENT.values())
@pytest.mark.parametrize("currency", EXPONENTS)
@pytest.mark.parametrize("limit", LIMITS)
def test_being_limited_never_costs_more_than_not_being_limited(
    plan: str, currency: str, limit: tuple[datetime, datetime]
) -> None:
    """Whatever was used before: the fee that falls away is more than the included units that do."""
    terms = november(plan, limit)
    places = [0] if not terms[0].limited else [place for place, term in enumerate(terms) if not term.limited]
    for used in (0, PLANS[plan].included, 3 * PLANS[plan].included) if places else (0,):
        units = [used if place == (places or [0])[0] else 0 for place in range(len(terms))]
        as_limited = statement(terms, units, NOVEMBER, currency).subtotal
        assert as_limited <= statement(november(plan), [used], NOVEMBER, currency).subtotal


def test_a_month_that_was_limited_as_a_whole_costs_nothing() -> None:
    terms = november(CURRENT["enterprise"], (at(10, 20), at(12, 5)))
    assert (statement(terms, [1_000], NOVEMBER, "USD").subtotal, included_units(terms, NOVEMBER)) == (0, 1_000)


def test_units_agreed_with_a_tenant_are_prorated_like_any_others() -> None:
    terms = november(CURRENT["basic"], (at(11, 16), at(12, 1)), own=50_000)
    assert included_units(terms, NOVEMBER) == 25_500


@pytest.mark.django_db
def test_limited_days_stand_on_the_invoice_and_are_free() -> None:
    tenant = customer("professional")
    use(tenant, at(11, 3), 30_000)
    set_status(tenant_id=tenant.pk, status="limited", now=at(11, 16))
    set_status(tenant_id=tenant.pk, status="limited", now=at(11, 17))  # harmless
    set_status(tenant_id=tenant.pk, status="active", now=at(11, 22))
    invoice = close(tenant, 11)
    lines = [(line.description, str(invoice.money(line.amount))) for line in invoice.lines.all()]
    assert lines == [
        ("Professional plan, 15 of 30 days: 25,000 units included", "149.50"),
        ("Professional plan, limited while unpaid, 6 of 30 days: 200 units included", "0.00"),
        ("Professional plan, 9 of 30 days: 15,000 units included", "89.70"),
    ]


@pytest.mark.django_db
def test_a_limit_outlives_a_change_of_plan_and_ends_with_the_cancellation() -> None:
    tenant = customer("basic")
    set_status(tenant_id=tenant.pk, status="limited", now=at(10, 11))
    change_plan(tenant_id=tenant.pk, plan="professional", now=at(10, 21))
    cancel_now(tenant_id=tenant.pk, now=at(11, 1))
    assert str(close(tenant, 10).total) == "31.94"  # 10 of 31 days of Basic
    assert close(tenant, 11) is None
    assert Limitation.objects.get(tenant=tenant).ends_at == at(11, 1)


@pytest.mark.django_db
def test_who_owes_begins_no_trial() -> None:
    tenant = customer("free")
    set_status(tenant_id=tenant.pk, status="limited", now=at(10, 11))
    with pytest.raises(ValueError, match="open invoices"):
        start_trial(tenant_id=tenant.pk, plan="basic", days=14, now=at(10, 12))


@pytest.mark.django_db
def test_limits_of_its_own_end_with_the_plan_and_the_trail_says_so() -> None:
    tenant = customer("basic", included=70_000, rate_per_minute=900)
    assert cancel_now(tenant_id=tenant.pk, now=at(11)) == {"included": 70_000, "rate_per_minute": 900}
    row, entry = Subscription.objects.get(tenant=tenant), AuditEntry.objects.get(action="subscription.cancelled")
    assert (row.custom_included, row.custom_rate_per_minute) == (None, None)
    assert entry.before == {"plan": CURRENT["basic"], "included": 70_000, "rate_per_minute": 900}
    assert entry.after == {"plan": current("free").code, "included": None, "rate_per_minute": None}


@pytest.mark.django_db
@pytest.mark.parametrize("change", ["starts_at = starts_at - interval '1 day'", "ends_at = now()"])
def test_when_somebody_was_limited_is_only_ever_ended(change: str) -> None:
    tenant = customer()
    set_status(tenant_id=tenant.pk, status="limited", now=at(10))
    set_status(tenant_id=tenant.pk, status="active", now=at(10, 3))
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE billing_limitation SET {change} WHERE tenant_id = {tenant.pk}")


def test_fractions_of_days_are_exact() -> None:
    terms = november(CURRENT["basic"], (at(11, 10, 6), at(11, 10, 18)))
    assert statement(terms, [0, 0, 0], NOVEMBER, "USD").subtotal == Decimal("97.36")
