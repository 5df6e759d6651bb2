"""The operators' front page says how the business goes: this month against the last, and every tenant's margin."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from apps.accounts.models import Tenant
from apps.backoffice import figures
from apps.backoffice.figures import Movements, movements
from apps.billing.rating.plans import current
from apps.billing.subscriptions.services import change_plan
from apps.currencies import CURRENCIES
from apps.periods import Period
from tests.cast import Cast, enter
from tests.factories import UsageDayFactory, UsageHourFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_movements_say_who_came_grew_shrank_and_left() -> None:
    before = {1: Decimal(99), 2: Decimal(99), 3: Decimal(299), 4: Decimal(299)}
    after = {2: Decimal(299), 3: Decimal(99), 4: Decimal(299), 5: Decimal(999)}
    assert movements(before, after) == Movements(Decimal(999), Decimal(200), Decimal(200), Decimal(99))
    total = sum(before.values()) + 999 + 200 - 200 - 99
    assert total == sum(after.values())


def said(now: datetime) -> dict[str, tuple[str, str]]:
    return {one.title: (one.now, one.before) for one in figures.figures(now)}


def test_a_month_is_held_against_the_same_days_of_the_last(cast: Cast) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    month = Period.of(now)
    base = said(now)["Decisions this month"]
    into = now - month.start
    UsageHourFactory(tenant_id=cast.alice.tenant.pk, hour=month.start, decisions=1_000_000)
    UsageHourFactory(tenant_id=cast.alice.tenant.pk, hour=month.before().start, decisions=500)
    if into < timedelta(days=25):  # as late in the month before nobody is yet
        UsageHourFactory(tenant_id=cast.alice.tenant.pk, hour=month.before().end - timedelta(hours=1), decisions=7)
    told = said(now)["Decisions this month"]
    assert int(told[0].replace(",", "")) - int(base[0].replace(",", "")) == 1_000_000
    assert int(told[1].replace(",", "")) - int(base[1].replace(",", "")) == 500


def test_recurring_revenue_follows_plans_and_their_currencies(cast: Cast) -> None:
    now = datetime.now(UTC)
    fees = figures.fees_at(now)
    assert (fees[cast.alice.tenant.pk], fees[cast.bob.tenant.pk]) == (Decimal(299), Decimal(99))
    assert cast.charlie.tenant.pk not in fees
    dora = enter("dora", "basic", currency="EUR").tenant
    price, rate = current("basic").prices["EUR"].monthly, Decimal(str(CURRENCIES["EUR"].dollars))
    assert figures.fees_at(datetime.now(UTC))[dora.pk] == price * rate
    change_plan(tenant_id=cast.bob.tenant.pk, plan="professional", now=datetime.now(UTC))
    assert figures.fees_at(datetime.now(UTC))[cast.bob.tenant.pk] == Decimal(299)
    assert figures.fees_at(now - timedelta(days=3650)) == {}


def test_a_tenants_margin_is_what_it_comes_to_without_what_it_costs(cast: Cast) -> None:
    now = datetime.now(UTC)
    tenant: Tenant = cast.bob.tenant
    UsageDayFactory(tenant_id=tenant.pk, units=20_001, decisions=20_001)
    UsageHourFactory(tenant_id=tenant.pk, decisions=20_001, latency_us=3_600_000_000)
    (row,) = [one for one in figures.margins(now) if one.tenant == tenant]
    assert row.units == 20_001
    assert row.cost == figures.CPU_HOUR + 20_001 * figures.KEPT_DECISION
    assert row.left == row.revenue - row.cost and row.percent is not None and row.percent > 90


def test_the_front_page_shows_them_to_who_may_see_invoices(browser: Client, cast: Cast) -> None:
    UsageDayFactory(tenant_id=cast.bob.tenant.pk, units=5)
    page = browser.get("/admin/").content.decode()
    for words in ("How the business goes", "Recurring a month (MRR)", "lost to leaving (churn)", "Bob &amp; Co."):
        assert words in page, words
    staff, client = UserFactory(is_staff=True), Client()
    staff.user_permissions.add(Permission.objects.get(codename="view_tenant"))
    client.force_login(staff)
    assert "How the business goes" not in client.get("/admin/").content.decode()
