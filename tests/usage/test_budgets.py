"""Budgets: told at each threshold once a month, whoever looks, however often."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Tenant
from apps.billing.models import Subscription
from apps.billing.subscriptions.services import allowance, set_payment_method, set_spend_cap
from apps.notifications.mail import render
from apps.notifications.models import Delivery, Event
from apps.periods import Period
from apps.usage.metering.quantities import units_between
from apps.usage.models import UsageDay
from apps.usage.statements.budgets import cap_effect, notify_reached, set_thresholds
from apps.usage.statements.reads import statement_of
from tests.cast import Cast
from tests.factories import MembershipFactory, UsageDayFactory, UserFactory
from tests.together import together

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime.now(UTC) + timedelta(minutes=5)  # after the cast came


@pytest.fixture
def charlie(cast: Cast) -> Tenant:
    """Free: 1,000 included."""
    return cast.charlie.tenant


def use(tenant: Tenant, units: int, now: datetime = NOW) -> None:
    UsageDay.objects.filter(tenant_id=tenant.pk).delete()
    UsageDayFactory(tenant_id=tenant.pk, day=now.date(), decisions=units)


def told() -> list[tuple[Any, Any]]:
    events = sorted(Event.objects.all(), key=lambda one: int(one.data["threshold"]))
    return [(event.data["budget"], event.data["threshold"]) for event in events]


@pytest.mark.parametrize(
    ("units", "thresholds"), [(799, []), (800, [80]), (999, [80]), (1_000, [80, 100]), (1_001, [80, 100])]
)
def test_included_volume_is_told_at_80_and_100_percent(charlie: Tenant, units: int, thresholds: list[int]) -> None:
    use(charlie, units)
    assert notify_reached(NOW) == len(thresholds)
    assert told() == [("included", threshold) for threshold in thresholds]


def test_each_threshold_is_told_once_a_month(charlie: Tenant) -> None:
    for units, new in ((800, 1), (900, 0), (1_000, 1), (1_000, 0)):
        use(charlie, units)
        assert notify_reached(NOW) == new
    later = NOW.replace(day=1) + timedelta(days=32)
    use(charlie, 800, later)
    assert notify_reached(later) == 1


def test_many_workers_tell_once(charlie: Tenant) -> None:
    use(charlie, 1_000)
    together(6, lambda _: notify_reached(NOW))
    assert told() == [("included", 80), ("included", 100)]


def test_spend_cap_is_told_beside_the_included_volume(cast: Cast) -> None:
    bob = cast.bob.tenant  # Basic: 99 a month, 10,000 included, then 0.008
    set_payment_method(tenant_id=bob.pk, ready=True, now=NOW)
    set_spend_cap(tenant_id=bob.pk, cap=Decimal(300), now=NOW)
    use(bob, 0)
    notify_reached(NOW)
    assert told() == []
    use(bob, 200_000)
    notify_reached(NOW)
    assert sorted(told()) == [("included", 80), ("included", 100), ("spend_cap", 80), ("spend_cap", 100)]
    event = Event.objects.get(data__budget="spend_cap", data__threshold=80)
    assert (event.data["limit"], event.data["unit"]) == ("300.00", "USD")
    assert Decimal(event.data["used"]) >= 300


@pytest.mark.parametrize(
    ("used", "cap", "effect"),
    [
        (0, None, ""),
        (
            11_000,
            "300",
            "107.00 USD of 300.00 USD are spent; 193.00 USD are left for decisions beyond the included ones.",
        ),
        (
            12,
            "25",
            "99.00 USD are spent, more than the cap of 25.00 USD: the 9,988 included decisions left are paid for; "
            "beyond them calls stop.",
        ),
        (
            11_000,
            "25",
            "107.00 USD are spent, more than the cap of 25.00 USD: calls are refused until the cap is raised or the "
            "month is over.",
        ),
        (
            11_000,
            "107",
            "107.00 USD are spent, which is all of the cap of 107.00 USD: calls are refused until the cap is raised or "
            "the month is over.",
        ),
    ],
)
def test_a_caps_effect_is_what_the_gate_does(cast: Cast, used: int, cap: str | None, effect: str) -> None:
    bob, bound = cast.bob.tenant, None if cap is None else Decimal(cap)
    later = Period.of(NOW).end + timedelta(days=10)  # a whole month's fee
    set_payment_method(tenant_id=bob.pk, ready=True, now=NOW)
    set_spend_cap(tenant_id=bob.pk, cap=bound, now=NOW)
    use(bob, used, later)
    month = statement_of(bob.pk, Period.of(later))
    assert month is not None
    assert cap_effect(month, bound) == effect
    allowed = allowance(bob.pk, later, units_between).allowed_units
    assert (allowed is None) == (cap is None)
    if "refused" in effect:
        assert allowed is not None and allowed <= used
    elif "included decisions left" in effect:
        assert allowed == 10_000


def test_own_thresholds_take_the_place_of_ours(charlie: Tenant) -> None:
    set_thresholds(tenant=charlie, thresholds=[50, 25, 50], now=NOW)
    use(charlie, 600)
    notify_reached(NOW)
    assert told() == [("included", 25), ("included", 50)]
    set_thresholds(tenant=charlie, thresholds=[], now=NOW)
    use(charlie, 1_000)
    assert notify_reached(NOW) == 0


def test_owner_gets_a_mail(charlie: Tenant) -> None:
    MembershipFactory(tenant=charlie, user=UserFactory(email="charlie@example.com"))
    use(charlie, 850)
    notify_reached(NOW)
    assert Delivery.objects.get().recipient == "charlie@example.com"


def test_test_usage_and_last_month_are_no_usage(charlie: Tenant) -> None:
    UsageDayFactory(tenant_id=charlie.pk, decisions=5_000, livemode=False)
    UsageDayFactory(tenant_id=charlie.pk, decisions=5_000, day=NOW.date().replace(day=1) - timedelta(days=1))
    assert notify_reached(NOW) == 0


def test_looking_costs_the_same_for_one_tenant_and_for_three(cast: Cast) -> None:
    use(cast.charlie.tenant, 100)
    with CaptureQueriesContext(connection) as one:
        notify_reached(NOW)
    for player in cast.players:
        use(player.tenant, 100)
    with CaptureQueriesContext(connection) as three:
        notify_reached(NOW)
    assert len(three) == len(one)


def test_a_budget_is_told_to_the_billing_email_too(charlie: Tenant) -> None:
    Subscription.objects.update_or_create(tenant=charlie, defaults={"billing_email": "books@charlie.example"})
    MembershipFactory(tenant=charlie, user=UserFactory(email="owner@charlie.example"), role="owner")
    use(charlie, 800)
    notify_reached(NOW)
    sent = Delivery.objects.filter(event__kind="budget.reached", channel="email").values_list("recipient", flat=True)
    assert {*sent} >= {"books@charlie.example", "owner@charlie.example"} and len(sent) == len({*sent})


def test_one_mail_tells_the_highest_threshold_and_webhooks_each(charlie: Tenant) -> None:
    MembershipFactory(tenant=charlie, user=UserFactory(email="charlie@example.com"))
    use(charlie, 2_500)
    assert notify_reached(NOW) == 2
    mails = Delivery.objects.filter(event__kind="budget.reached", channel="email").select_related("event")
    assert {mail.event.data["threshold"] for mail in mails} == {100}
    assert Event.objects.filter(kind="budget.reached").count() == 2
    subject, text = render("budget.reached", mails[0].event.data | {"tenant": "Charlie"})
    assert subject == "2,500 of 1,000 units of your included volume are used"
    assert "That is 250 % of the volume your plan includes; you asked to be told at 100 %." in text
