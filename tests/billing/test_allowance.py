"""What the gate lets a tenant use: the included volume, or up to its cap, to the unit; and until when that holds."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from time import sleep
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from apps.api_keys.gate import Ask, Gate, Names
from apps.api_keys.keys import parse
from apps.api_keys.services import digest_of, get_gate, invalidate_pending
from apps.billing.models import Subscription
from apps.billing.subscriptions.services import (
    NotPossible,
    allowance,
    cancel_now,
    change_plan,
    follow_timelines,
    plan_for,
    set_payment_method,
    set_spend_cap,
    set_status,
    start_trial,
)
from apps.errors import Problem
from apps.periods import Period
from apps.usage.admission.admission import Admissions, period_of
from apps.usage.metering.quantities import units_between
from apps.valkey import Valkey, server
from tests.api.bodies import HONEST
from tests.billing.conftest import at, customer, use
from tests.campaign import campaign
from tests.cast import Api, enter
from tests.together import together

pytestmark = pytest.mark.django_db(transaction=True)


def allowed(tenant: Any, now: Any = None) -> tuple[int | None, str]:
    found = allowance(tenant.pk, now or at(10, 20), units_between)
    return found.allowed_units, found.stops_at


def ready(tenant: Any, cap: str | None = None) -> None:
    set_payment_method(tenant_id=tenant.pk, ready=True, now=at(9), label="visa •••• 4242")
    if cap is not None:
        set_spend_cap(tenant_id=tenant.pk, cap=Decimal(cap), now=at(9))


def test_without_a_payment_method_the_included_volume_is_the_end() -> None:
    assert allowed(customer("basic")) == (10_000, "included")
    assert allowed(customer("basic", included=77)) == (77, "included")


def test_with_one_there_is_no_end_but_the_cap() -> None:
    tenant = customer("basic")
    ready(tenant)
    assert allowed(tenant) == (None, "")
    set_spend_cap(tenant_id=tenant.pk, cap=Decimal(179), now=at(9))
    assert allowed(tenant) == (20_000, "spend_cap")  # one more would be 179.01
    set_spend_cap(tenant_id=tenant.pk, cap=Decimal(10), now=at(9))
    assert allowed(tenant) == (10_000, "spend_cap")  # the fee has paid for them
    with pytest.raises(NotPossible):
        set_spend_cap(tenant_id=tenant.pk, cap=Decimal("0.001"), now=at(9))


def test_a_cap_counts_what_was_used_before_an_upgrade_at_its_own_price() -> None:
    tenant = customer("basic")
    ready(tenant, "250")
    use(tenant, at(11, 15, 12, 30), 31_000)
    change_plan(tenant_id=tenant.pk, plan="professional", now=at(11, 16))
    # half of each fee is 199.00; 30,000 are included, 1,000 cost 8.00 on Basic, and 42.99 are left for calls at 0.006
    assert allowed(tenant, at(11, 16, 1)) == (31_000 + 7_167, "spend_cap")
    shortly = allowance(tenant.pk, at(11, 16, 0, 5), units_between)
    assert shortly.until == at(11, 16, 0, 5) + timedelta(seconds=20)


def test_who_does_not_pay_is_limited_and_who_pays_is_not() -> None:
    tenant = customer("professional")
    ready(tenant)
    set_status(tenant_id=tenant.pk, status="past_due", now=at(10))
    assert allowed(tenant) == (None, "")
    set_status(tenant_id=tenant.pk, status="limited", now=at(10, 5))
    assert allowed(tenant) == (1_000, "limited")
    set_status(tenant_id=tenant.pk, status="active", now=at(10, 6))
    assert allowed(tenant) == (None, "")
    cancel_now(tenant_id=tenant.pk, now=at(10, 7))
    assert allowed(tenant, at(11)) == (1_000, "limited")
    assert (Subscription.objects.get(tenant=tenant).status, plan_for(tenant.pk)[0].name) == ("cancelled", "free")


def test_a_trial_gives_the_included_volume_and_then_what_was_chosen() -> None:
    tenant = customer("free")
    ends = start_trial(tenant_id=tenant.pk, plan="basic", days=14, now=at(10, 1))
    assert (ends, allowed(tenant, at(10, 3))[1]) == (at(10, 15), "trial")
    set_payment_method(tenant_id=tenant.pk, ready=True, now=at(10, 5))
    assert allowed(tenant, at(10, 6))[1] == "trial"
    follow_timelines(at(10, 15))
    assert (plan_for(tenant.pk)[0].name, allowed(tenant, at(10, 16))) == ("basic", (None, ""))
    with pytest.raises(NotPossible):
        start_trial(tenant_id=tenant.pk, plan="professional", days=14, now=at(11))


def test_a_trial_without_a_payment_method_ends_on_free() -> None:
    tenant = customer("basic", at(10, 1), trial_days=10)
    assert Subscription.objects.get(tenant=tenant).status == "trialing"
    assert follow_timelines(at(10, 10, 23)) == []
    assert follow_timelines(at(10, 11)) == [tenant.pk]
    assert (plan_for(tenant.pk)[0].name, Subscription.objects.get(tenant=tenant).status) == ("free", "active")


def test_an_allowance_holds_to_the_end_of_the_month_or_of_the_span() -> None:
    tenant = customer("basic")
    assert allowance(tenant.pk, at(10, 20), units_between).until == at(11)
    trial = customer("basic", at(10, 1), trial_days=10)
    assert allowance(trial.pk, at(10, 2), units_between).until == at(10, 11)


def test_a_keys_document_dies_when_its_limits_may_change(valkey: Valkey) -> None:
    api = Api(enter("dora", "basic"))
    assert api.get("/v1/usage").status_code == 200
    document = Names(api.tenant.handle, True).key(digest_of(api.player.text))
    month_end = Period.of(timezone.now()).end
    assert valkey.command("PEXPIRETIME", document) == int(month_end.timestamp() * 1000)


def test_raising_the_cap_or_paying_holds_from_the_next_request_on() -> None:
    api = Api(enter("dora", "basic", included=1))
    assert [api.post("/v1/decisions", HONEST).status_code for _ in range(2)] == [200, 429]
    refused = api.post("/v1/decisions", HONEST).json()
    assert (refused["code"], refused["included"]) == ("quota_exceeded", 1)
    assert "POST /v1/subscription" in refused["detail"]
    now = timezone.now()
    set_payment_method(tenant_id=api.tenant.pk, ready=True, now=now)
    fee = allowance(api.tenant.pk, now, units_between)
    assert fee.allowed_units is None
    set_spend_cap(tenant_id=api.tenant.pk, cap=Decimal("0.00"), now=now)
    invalidate_pending(get_gate())
    refused = api.post("/v1/decisions", HONEST).json()
    assert (refused["code"], refused["allowed"]) == ("quota_exceeded", 1)
    assert "Raise the spend cap" in refused["detail"]
    set_spend_cap(tenant_id=api.tenant.pk, cap=None, now=now)
    invalidate_pending(get_gate())
    assert api.post("/v1/decisions", HONEST).status_code == 200


@campaign
def test_two_hundred_callers_at_the_cap_get_not_a_unit_more(valkey: Valkey) -> None:
    player = enter("dora", "free", rate_per_minute=1_000_000, included=0)
    now = timezone.now()
    set_payment_method(tenant_id=player.tenant.pk, ready=True, now=now)
    set_spend_cap(tenant_id=player.tenant.pk, cap=Decimal("5.00"), now=now)  # 500 calls at 0.01
    invalidate_pending(get_gate())
    patient = Admissions(Gate(server(settings.REDIS_URL, 60.0), settings.JOURNAL_MAX), 1)
    key = parse(player.text)
    assert key is not None

    def asking(units: int) -> Ask:
        return Ask(key, digest_of(player.text), "predict", "127.0.0.1", period_of(now), [("", "")] * units)

    def ask(number: int) -> Counter[str]:
        found: Counter[str] = Counter()
        for _ in range(4):
            found += answered(1 + number % 3)
        return found

    def answered(units: int) -> Counter[str]:
        """Ask until a store is there, as a caller does who is told to."""
        while True:
            try:
                return Counter(units=patient.admit(asking(units)).units)
            except Problem as refused:
                if refused.code != "stores_away":
                    return Counter({refused.code: 1})
                sleep(refused.retry_after or 0.1)

    patient.admit(asking(0))  # the key is known: 200 callers open no 200 connections to Postgres

    found = sum(together(200, ask), Counter[str]())
    assert found["units"] == 500
    assert set(found) == {"units", "quota_exceeded"}
    assert int(valkey.command("GET", Names(player.tenant.handle, True).quota(period_of(now)))) == 500
