"""Years of customers, crowds of closers, late and repeated events: nothing is billed twice, nothing is left out.

Small here, whole in `make campaign` (tests/campaign.py).
"""

import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from apps.accounts.models import Tenant
from apps.billing.invoicing import credits
from apps.billing.invoicing.invoices import mark_paid
from apps.billing.invoicing.month_invoices import MonthUsage, issue_invoices
from apps.billing.models import Invoice, InvoiceLine, PlanSpan, Subscription
from apps.billing.rating.plans import CURRENT
from apps.billing.rating.pricing import statement
from apps.billing.subscriptions import timeline
from apps.billing.subscriptions.services import cancel, change_plan, set_payment_method
from apps.notifications.models import Event
from apps.periods import Period
from apps.usage.closing.closing import close_due, close_period
from apps.usage.closing.test_clock import advance, start_clock
from tests.billing.conftest import at, close, customer, event, store, use
from tests.campaign import SIZE, campaign
from tests.together import together

#: When clocks were changed in Europe and America, and the ends of 28, 29 and 31 days: plans change then, too.
ODD_HOURS = tuple(
    datetime.fromisoformat(f"{said}Z")
    for said in (
        "2027-10-31T01:00:00",
        "2027-11-07T06:00:00",
        "2027-12-31T23:59:59.999999",
        "2028-02-29T00:00:00",
        "2028-02-29T23:59:59.999999",
        "2028-03-12T07:00:00",
        "2028-03-26T01:00:00",
        "2028-10-29T01:00:00",
        "2028-11-05T06:00:00",
        "2029-02-28T23:59:59.999999",
        "2029-03-11T07:00:00",
        "2029-03-25T01:00:00",
    )
)


@dataclass
class Life:
    """A tenant and, on our side of the counter, what it used and when."""

    tenant: Tenant
    signed: datetime
    used: list[tuple[datetime, int]] = field(default_factory=list)

    def units(self, start: datetime, end: datetime) -> int:
        return sum(units for moment, units in self.used if start <= moment < end)


@campaign
@pytest.mark.django_db(transaction=True)
def test_years_of_random_plan_changes_leave_no_gap_and_no_overlap() -> None:
    """From October 2027: clocks set back in Europe and America, days 28 to 31, a 29 February."""
    chance, begin = random.Random(7), Period(2027, 10)
    tenants, months = SIZE.lives
    lives = [_begun(chance, begin) for _ in range(tenants)]
    for period in (begin.later(number) for number in range(months)):
        for life in lives:
            _live(life, chance, period)
        assert len(list(close_period(period, Tenant.objects.filter(pk__in=_ids(lives)), period.end))) == tenants
        _as_the_timeline_says(lives, period)
    for life in lives:
        spans = list(PlanSpan.objects.filter(tenant=life.tenant).order_by("starts_at"))
        assert all(before.ends_at == after.starts_at for before, after in pairwise(spans))
        assert (spans[0].starts_at, spans[-1].ends_at) == (life.signed, None)
        fees = list(InvoiceLine.objects.filter(tenant=life.tenant, component="plan").order_by("starts_at"))
        assert all(before.ends_at == after.starts_at for before, after in pairwise(fees))
        assert (fees[0].starts_at, fees[-1].ends_at) == (life.signed, begin.later(months).start)


def _begun(chance: random.Random, begin: Period) -> Life:
    signed = begin.start + timedelta(days=chance.choice((0, 27, 28, 29, 30)), seconds=chance.randrange(86_400))
    tenant = customer(chance.choice(list(CURRENT)), signed, trial_days=chance.choice((0, 0, 14)))
    return Life(tenant, signed)


def _live(life: Life, chance: random.Random, period: Period) -> None:
    """A month: up to three changes of plan at odd moments or on the stroke of an odd hour, some usage after each."""
    start = max(period.start, life.signed)
    moments = sorted(_odd_moment(chance, start, period.end) for _ in range(chance.randrange(4)))
    moments += [hour for hour in ODD_HOURS if start < hour < period.end and hour > max(moments, default=start)][:1]
    for moment in moments:
        change_plan(tenant_id=life.tenant.pk, plan=chance.choice(list(CURRENT)), now=moment)
    used = [(moment, chance.choice((1, 5_000, 30_000))) for moment in (start, *moments)]
    store(event(life.tenant, *one) for one in used)
    life.used += used


def _odd_moment(chance: random.Random, start: datetime, end: datetime) -> datetime:
    return start + timedelta(microseconds=chance.randrange(1, (end - start) // timedelta(microseconds=1)))


def _as_the_timeline_says(lives: Sequence[Life], period: Period) -> None:
    """Every invoice charges what the statement of the stored timeline comes to, computed anew from our own counts."""
    terms = timeline.terms_of(_ids(lives), period)
    found = Invoice.objects.filter(period=str(period), tenant__in=_ids(lives)).prefetch_related("lines")
    invoices = {invoice.tenant_id: invoice for invoice in found}
    for life in lives:
        invoice, mine = invoices[life.tenant.pk], terms[life.tenant.pk]
        assert (mine[0].start, mine[-1].end) == (max(period.start, life.signed), period.end)
        assert all(before.end == after.start for before, after in pairwise(mine))
        expected = statement(mine, [life.units(term.start, term.end) for term in mine], period, "USD")
        assert _charged(invoice.lines.all()) == _charged(expected.lines)
        assert (invoice.subtotal, invoice.units) == (expected.subtotal, life.units(period.start, period.end))


def _charged(lines: Iterable[Any]) -> list[tuple[str, Decimal]]:
    return [(line.component, line.amount) for line in lines]


def _ids(lives: Iterable[Life]) -> list[int]:
    return [life.tenant.pk for life in lives]


@campaign
@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(SIZE.shuffles))
def test_any_order_repetition_and_delay_of_events_comes_to_the_same_total(seed: int) -> None:
    """The same month's events for two tenants: to one they come at once, to the other shuffled, twice, 35 days late."""
    chance = random.Random(seed)
    prompt, slow = customer("basic"), customer("basic")
    for tenant in (prompt, slow):
        change_plan(tenant_id=tenant.pk, plan="professional", now=at(9, 20, 12, 30))
    moments = [_odd_moment(chance, at(9), at(10)) for _ in range(40)]
    units = [chance.choice((1, 700, 9_000)) for _ in moments]
    store(event(prompt, *one) for one in zip(moments, units, strict=True))
    events = [event(slow, *one) for one in zip(moments, units, strict=True)]
    events += chance.sample(events, 20)
    chance.shuffle(events)
    batches = [events[:25], events[25:40], events[40:]]
    for month, batch in zip((9, 10, 11), batches, strict=True):
        for one in batch:
            store([one])
        close(slow, month)
        close(prompt, month)
    assert _owed(slow) == _owed(prompt)


def _owed(tenant: Tenant) -> Decimal:
    return sum((invoice.total for invoice in Invoice.objects.filter(tenant=tenant)), Decimal(0))


@campaign
@pytest.mark.django_db(transaction=True)
def test_sixty_four_closers_make_one_invoice_a_tenant_and_numbers_without_gaps() -> None:
    """Half of them fail after their number was given, and roll back."""
    tenants = [customer("basic") for _ in range(SIZE.closed_at_once)]
    for tenant in tenants:
        credits.grant(tenant, Decimal(5), "USD", reason="x", key="x", now=at(9))
    period = Period(2026, 10)

    def closer(number: int) -> None:
        for tenant in random.Random(number).sample(tenants, len(tenants)):
            _close_or_fail(tenant, period, fails=number % 2 == 0)

    together(64, closer, seconds=SIZE.seconds)
    for tenant in tenants:
        list(close_period(period, Tenant.objects.filter(pk=tenant.pk), period.end))
    found = list(Invoice.objects.filter(period=str(period), tenant__in=tenants).order_by("number"))
    assert sorted(one.tenant_id for one in found) == sorted(tenant.pk for tenant in tenants)
    numbers = [int(str(one.number).rsplit("-", 1)[1]) for one in found]
    assert numbers == list(range(1, len(tenants) + 1))
    assert {str(one.credits) for one in found} == {"5.000"}


class _Fails(Exception):
    pass


def _close_or_fail(tenant: Tenant, period: Period, *, fails: bool) -> None:
    try:
        with transaction.atomic():
            terms = tuple(timeline.terms_of([tenant.pk], period)[tenant.pk])
            issue_invoices([MonthUsage(tenant, terms, (0,))], period, period.end)
            if fails:
                raise _Fails
    except _Fails:
        pass


@campaign
@pytest.mark.django_db(transaction=True)
def test_two_changes_of_plan_at_once_leave_one_timeline() -> None:
    tenant = customer("basic")

    def changer(number: int) -> None:
        plan = ("professional", "enterprise")[number % 2]
        with suppress(IntegrityError):
            change_plan(tenant_id=tenant.pk, plan=plan, now=at(10, 5) + timedelta(microseconds=number))

    together(8, changer)
    spans = list(PlanSpan.objects.filter(tenant=tenant).order_by("starts_at"))
    assert all(before.ends_at == after.starts_at for before, after in pairwise(spans))
    assert spans[-1].ends_at is None or spans[-1].ends_at > at(10, 5)


# --- a billing clock ---


@pytest.mark.django_db
def test_a_billing_clock_walks_through_trial_months_and_cancelling(amounts: Callable[..., Any]) -> None:
    tenant = customer("basic", at(9, 10), trial_days=14)
    start_clock(tenant, at(9, 10))
    set_payment_method(tenant_id=tenant.pk, ready=True, now=at(9, 11), label="invoice")
    list(advance(tenant, timedelta(days=5)))
    assert Subscription.objects.get(tenant=tenant).status == "trialing"
    use(tenant, at(10, 3), 10_500)
    stops = list(advance(tenant, timedelta(days=20)))
    assert at(9, 24) in stops
    mark_paid(invoice=Invoice.objects.get(tenant=tenant), now=at(10, 5), how="bank transfer")
    list(advance(tenant, timedelta(days=10)))
    assert Subscription.objects.get(tenant=tenant).status == "active"
    cancel(tenant_id=tenant.pk, now=at(10, 15))
    list(advance(tenant, timedelta(days=60)))
    september, october = Invoice.objects.filter(tenant=tenant).order_by("period")
    assert amounts(september) == [("plan", "0.00"), ("plan", "23.10")]  # 7 of 30 days after the trial
    assert amounts(october) == [("plan", "99.00"), ("overage.basic-2026-11.1", "4.00")]
    assert Subscription.objects.get(tenant=tenant).plan_code == "free-2026-11"
    assert Event.objects.filter(tenant=tenant, kind="subscription.trial_ending").count() == 1


@pytest.mark.django_db
def test_real_time_leaves_a_tenant_on_a_clock_alone() -> None:
    tenant, other = customer("basic"), customer("basic")
    start_clock(tenant, at(9, 1))
    close_due(at(11, 1, 0, 35))
    assert {invoice.tenant_id for invoice in Invoice.objects.filter(tenant__in=(tenant, other))} == {other.pk}


@pytest.mark.django_db
def test_months_a_worker_was_away_for_are_made_up_for_each_with_its_own_usage() -> None:
    tenant = customer("basic", at(8, 15))
    use(tenant, at(9, 3), 25_000)
    use(tenant, at(10, 3), 7)
    assert close_due(at(11, 1, 0, 35)) == 3
    found = Invoice.objects.filter(tenant=tenant).order_by("pk")
    assert [(one.period, one.units) for one in found] == [("2026-08", 0), ("2026-09", 25_000), ("2026-10", 7)]
    assert close_due(at(11, 1, 1, 35)) == 0
