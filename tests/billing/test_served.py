"""Served = journaled = recorded = rolled up = invoiced, for every tenant and day: real traffic through days and months.

The customers count for themselves, from the answers alone. On their way decisions go through the real gate, engine,
journal and recorder; some are asked for twice, refused, made for test, made while a store is away, recorded twice
because the recorder died, or recorded when their month was closed already.
"""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from apps.accounts.models import Tenant
from apps.accounts.tenancy import in_tenant
from apps.api_keys.gate import Gate, Names
from apps.api_keys.services import get_gate
from apps.billing.models import InvoiceLine
from apps.billing.subscriptions.services import change_plan, set_payment_method
from apps.periods import Period
from apps.scoring.models import Decision
from apps.scoring.recording.recorder import Recorder
from apps.scoring.serving.runtime import get_scoring
from apps.scoring.serving.service import Scoring
from apps.usage.admission.admission import Admissions
from apps.usage.closing.closing import close_period
from apps.usage.metering.journal import Journal
from apps.usage.models import UsageDay
from apps.valkey import Valkey
from tests.billing.conftest import customer, event, store
from tests.billing.street import HAPPENS, Customer, Street
from tests.campaign import SIZE, campaign
from tests.cast import new_key
from tests.together import together

pytestmark = pytest.mark.django_db(transaction=True)

#: 24 months from here have a 29 February. They are over, so that no allowance depends on the day the test is run.
BEGIN = Period(2023, 1)
#: Units a month of the tenant that has no payment method; the others have no end.
FEW = 20


@pytest.fixture
def street() -> Street:
    scoring = get_scoring()
    nowhere = Valkey("redis://127.0.0.1:1/0", 0.1)
    cut_off = Scoring(
        engine=scoring.engine,
        admissions=Admissions(Gate(nowhere, settings.JOURNAL_MAX), 1),
        journal=Journal(nowhere),
        policies=scoring.policies,
    )
    return Street([_customer(number) for number in range(SIZE.served[0])], scoring, cut_off)


def _customer(number: int) -> Customer:
    """The first has a few units a month and no payment method, the others all they ask for."""
    few = {"included": FEW} if number == 0 else {}
    tenant = customer("professional", BEGIN.start, rate_per_minute=10_000_000, **few)
    if number:
        set_payment_method(tenant_id=tenant.pk, ready=True, now=BEGIN.start)
    return Customer(tenant, new_key(tenant)[1], new_key(tenant, livemode=False)[1])


@campaign
def test_the_books_of_every_tenant_and_day_say_what_was_served(street: Street, drain: Callable[[], int]) -> None:
    months = [BEGIN.later(number) for number in range(SIZE.served[1])]
    for period in months:
        for day in days_of(period):
            street.live(day)
            if day.day % 9 == 0:
                _upgrade(street, day)
                drain()
        if period == months[0]:
            _agree(street, period, closed=False)  # what the journal holds counts, too
        if period.month % 2:  # else the last days are recorded when their month was closed already
            drain()
        _close(street, period)
        drain()
    for period in (months[-1].later(1), months[-1].later(2)):
        _close(street, period)
    for period in months:
        _agree(street, period)
    assert set(street.happened) == {name for name, _ in HAPPENS}
    assert InvoiceLine.objects.filter(component__startswith="late.").exists()
    assert street.customers[0].refused and not any(one.refused for one in street.customers[1:])


@pytest.fixture
def closed(street: Street, drain: Callable[[], int]) -> Customer:
    """A customer whose January agrees."""
    for day in days_of(BEGIN):
        street.live(day)
    drain()
    _close(street, BEGIN)
    _agree(street, BEGIN)
    return street.customers[1]


def day_used(one: Customer) -> date:
    return next(day for day, units in one.told.values() if units)


def test_a_roll_up_that_was_lost_is_named(closed: Customer) -> None:
    day, units = day_used(closed), closed.units()
    UsageDay.objects.filter(tenant_id=closed.tenant.pk, day=day).delete()
    said = _differences(BEGIN, closed)
    assert ("units rolled up by day", str(day), units[str(day)], 0) in said
    assert ("units invoiced", str(day), 0, units[str(day)]) in said


def test_an_event_that_nobody_was_served_is_named(closed: Customer) -> None:
    day, served = day_used(closed), closed.decisions()
    store([event(closed.tenant, datetime(day.year, day.month, day.day, 12, tzinfo=UTC))])
    said = _differences(BEGIN, closed)
    assert ("decisions recorded", str(day), served[str(day)] + 1, served[str(day)]) in said
    assert "entries journaled" in {what for what, *_ in said}


def test_a_decision_that_was_never_recorded_is_named(closed: Customer) -> None:
    day, served = day_used(closed), closed.decisions()[str(day_used(closed))]
    lost = next(one for one, (when, _) in closed.told.items() if when == day)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM usage_usageevent WHERE id = %s", [lost])
    assert ("decisions recorded", str(day), served - 1, served) in _differences(BEGIN, closed)


def test_a_decision_missing_from_the_history_is_named(closed: Customer) -> None:
    day, served = day_used(closed), closed.decisions()[str(day_used(closed))]
    with in_tenant(closed.tenant.schema_name):
        Decision.objects.filter(pk=next(one for one, (when, _) in closed.told.items() if when == day)).delete()
    assert _differences(BEGIN, closed) == [("decisions recorded", str(day), served, served - 1)]


def test_counts_valkey_keeps_no_longer_are_no_difference(closed: Customer, valkey: Valkey) -> None:
    valkey.command("DEL", Names(closed.tenant.handle, True).journaled("202301"))
    code, said = _reconciled(BEGIN, closed)
    assert (code, {day["journaled"] for day in said["days"]}) == (0, {None})


def test_counts_valkey_lost_are_named(street: Street, valkey: Valkey, drain: Callable[[], int]) -> None:
    now, one = datetime.now(UTC), street.customers[1]
    street.one(one, now)
    drain()
    valkey.command("DEL", Names(one.tenant.handle, True).journaled(f"{now:%Y%m}"))
    assert _differences(Period.of(now), one) == [("entries journaled", str(now.date()), 0, 1)]


def test_books_agree_while_decisions_are_made_and_recorded(street: Street, valkey: Valkey) -> None:
    """Two customers of one tenant and a recorder go on; the counter, set right on the way, ends where it should."""
    one, stop, moment = street.customers[1], threading.Event(), datetime(2023, 1, 5, 12, tzinfo=UTC)
    found: list[tuple[int, Any]] = []

    def ask() -> None:
        while not stop.is_set():
            street.one(one, moment)

    def record() -> None:
        recorder = Recorder(Journal(valkey), get_gate())
        while not stop.is_set() or any(recorder.journal.lengths()):
            recorder.step()

    def reconcile() -> None:
        while not stop.is_set() and (len(found) < 4 or len(one.told) <= 100):
            found.append(_reconciled(BEGIN, one))
        stop.set()

    together(4, lambda number: (ask, ask, record, reconcile)[number](), stop=stop)
    assert [(code, said["differences"]) for code, said in found] == [(0, [])] * len(found)
    assert int(valkey.command("GET", Names(one.tenant.handle, True).quota("202301"))) == len(one.told)
    assert _reconciled(BEGIN, one)[1]["days"][0]["served"] == len(one.told)


def test_the_books_are_told_in_words(closed: Customer) -> None:
    out = StringIO()
    call_command("reconcile", "--month", str(BEGIN), "--tenant", closed.tenant.slug, stdout=out)
    *days, last = out.getvalue().splitlines()
    assert len(days) == 31 and last == "The books agree."
    served, units = closed.decisions()["2023-01-31"], closed.units()["2023-01-31"]
    assert days[-1].startswith(f"{closed.tenant.slug} 2023-01-31: decisions served {served}, journaled ")
    assert days[-1].endswith(f"units recorded {units}, rolled up {units}, invoiced {units}")


# --- pieces ---


def days_of(period: Period) -> Iterator[date]:
    day = period.start.date()
    while day < period.end.date():
        yield day
        day += timedelta(days=1)


def _upgrade(street: Street, day: date) -> None:
    """One of them, to another plan at once, at noon; the first keeps what was agreed with it."""
    one = street.chance.choice(street.customers[1:])
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    change_plan(tenant_id=one.tenant.pk, plan=street.chance.choice(("basic", "professional", "enterprise")), now=noon)


def _close(street: Street, period: Period) -> None:
    tenants = Tenant.objects.filter(pk__in=[one.tenant.pk for one in street.customers])
    assert len(list(close_period(period, tenants, period.end))) == len(street.customers)


def _agree(street: Street, period: Period, *, closed: bool = True) -> None:
    """`manage.py reconcile` prints the five numbers of every tenant and day: those the customers counted."""
    code, said = _reconciled(period)
    assert (code, said["ok"]) == (0, True), said["differences"]
    assert {one["what"] for one in said["differences"]} <= {"units counted by the gate"}
    printed = {(day["tenant"], day["day"]): day for day in said["days"]}
    counted = _counted(street, period)
    assert set(printed) == set(counted)
    for who, (decisions, units) in counted.items():
        day = printed[who]
        assert day["served"] == day["journaled"] + day["direct"] == day["recorded"] + day["waiting"] == decisions, day
        assert day["rolled_up"] == day["recorded"], day
        if closed:
            assert day["units_recorded"] == day["units_rolled_up"] == day["units_invoiced"] == units, day
            assert not day["waiting"], day


def _counted(street: Street, period: Period) -> dict[tuple[str, str], tuple[int, int]]:
    """(decisions, units) of each tenant and day of a month, as the customers were told."""
    found = {}
    for one in street.customers:
        decisions, units = one.decisions(), one.units()
        for day in map(str, days_of(period)):
            if day in decisions:
                found[one.tenant.slug, day] = (decisions[day], units[day])
    return found


def _differences(period: Period, one: Customer) -> list[tuple[str, str, int, int]]:
    """What is said of a tenant whose books don't agree, and that the command fails."""
    code, said = _reconciled(period, one)
    assert (code, said["ok"]) == (1, False)
    assert {difference["tenant"] for difference in said["differences"]} == {one.tenant.slug}
    return [tuple(said[key] for key in ("what", "day", "expected", "found")) for said in said["differences"]]


def _reconciled(period: Period, one: Customer | None = None) -> tuple[int, dict[str, Any]]:
    """(exit code, what it printed)."""
    out, code = StringIO(), 0
    try:
        call_command("reconcile", "--json", month=str(period), tenant=one.tenant.slug if one else None, stdout=out)
    except CommandError as failed:
        code = failed.returncode
    return code, json.loads(out.getvalue())
