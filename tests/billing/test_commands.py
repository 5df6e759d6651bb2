"""The commands of billing: what they take, and what they say of what they don't."""

import json
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.accounts.models import AuditEntry, Membership, Tenant, User
from apps.billing.models import PlanSpan, Subscription

pytestmark = pytest.mark.django_db


def create(*said: str) -> dict[str, Any]:
    out = StringIO()
    call_command("tenant_create", "--slug", "acme", "--json", *said, stdout=out)
    return dict(json.loads(out.getvalue()))


def test_a_tenant_pays_in_its_currency() -> None:
    facts = create("--plan", "basic", "--currency", "JPY")
    assert (facts["currency"], facts["status"], facts["trial_ends"]) == ("JPY", "active", None)
    assert Subscription.objects.get(tenant_id=facts["id"]).currency == "JPY"


def test_without_words_it_pays_in_dollars() -> None:
    assert create()["currency"] == "USD"


def test_an_owner_is_a_person_without_a_password_who_is_told() -> None:
    facts = create("--owner-email", "Anna@Acme.example")
    owner = Membership.objects.get(tenant_id=facts["id"])
    assert (owner.user.email, owner.role, facts["owner"]) == ("anna@acme.example", "owner", "anna@acme.example")
    assert not owner.user.has_usable_password()
    assert AuditEntry.objects.filter(tenant_id=facts["id"], action="membership.created").exists()


def test_an_owner_may_be_somebody_known() -> None:
    anna = User.objects.create_user("anna@acme.example", "a password")
    facts = create("--owner-email", "anna@acme.example")
    assert Membership.objects.get(tenant_id=facts["id"]).user == anna
    assert User.objects.get(pk=anna.pk).has_usable_password()


def test_without_an_owner_it_is_said_that_nobody_is_told() -> None:
    said = StringIO()
    call_command("tenant_create", "--slug", "acme", stdout=StringIO(), stderr=said)
    assert said.getvalue().startswith("Nobody is told about invoices")


def test_a_trial_ends_after_its_days() -> None:
    facts = create("--plan", "professional", "--trial-days", "14")
    began = Tenant.objects.get(slug="acme").created_at
    assert datetime.fromisoformat(facts["trial_ends"]) == began + timedelta(days=14)
    assert (facts["status"], facts["included"]) == ("trialing", 50_000)
    spans = PlanSpan.objects.filter(tenant_id=facts["id"]).order_by("starts_at").values_list("plan_code", "trial")
    assert list(spans) == [("professional-2026-11", True), ("free-2026-11", False)]


@pytest.mark.parametrize(
    ("said", "named"),
    [
        (("--currency", "CHF"), "--currency"),
        (("--plan", "basic", "--trial-days", "91"), "--trial-days"),
        (("--plan", "basic", "--trial-days", "-1"), "--trial-days"),
        (("--plan", "basic", "--trial-days", "x"), "--trial-days"),
        (("--plan", "free", "--trial-days", "14"), "--trial-days"),
        (("--included", "-1"), "--included"),
        (("--owner-email", "anna"), "--owner-email"),
    ],
)
def test_what_can_not_be_agreed_names_its_flag_and_makes_nobody(said: tuple[str, ...], named: str) -> None:
    with pytest.raises(CommandError, match=named):
        create(*said)
    assert not Tenant.objects.filter(slug="acme").exists()


@pytest.mark.parametrize("percent", ["NaN", "Infinity", "-1", "101", "x"])
def test_a_tax_that_is_none_is_told_at_its_flag(percent: str) -> None:
    with pytest.raises(CommandError, match="--tax"):
        call_command("price", "--plan", "basic", "--units", "1", f"--tax={percent}")


def test_people_read_what_was_made_and_what_comes_next() -> None:
    out = StringIO()
    said = ("--name", "Acme & Co.", "--plan", "basic", "--trial-days", "14", "--owner-email", "anna@acme.example")
    call_command("tenant_create", "--slug", "acme", *said, stdout=out)
    first, trial, owner, following = out.getvalue().strip().splitlines()
    assert first == (
        "Tenant acme (Acme & Co.) is there, on Basic for 99.00 USD a month: 10,000 units included,"
        " 100 requests a minute."
    )
    assert trial.startswith("On trial until ") and trial.endswith(" UTC.")
    assert owner == "anna@acme.example owns it and is told about invoices and limits."
    assert following == "Next, a key: manage.py key_create --tenant acme --scopes read,predict"


def test_people_read_where_a_billing_clock_stands_and_what_it_brought() -> None:
    create("--plan", "basic")
    out = StringIO()
    call_command("billing_clock", "--tenant", "acme", "--advance", "40d", stdout=out)
    stands, *invoices = out.getvalue().strip().splitlines()
    assert stands.startswith("acme's clock stands at ") and " UTC. It is on Basic, " in stands
    assert invoices and all(line.startswith("Invoice P-") and " USD, issued." in line for line in invoices)


def test_a_quote_is_printed_for_people() -> None:
    out = StringIO()
    call_command("price", "--plan", "basic", "--units", "20001", stdout=out)
    assert "units 1 to 10,000 beyond the included: 10,000 × 0.008 = 80.00" in out.getvalue()
    assert "unit 10,001 beyond the included: 1 × 0.005 = 0.01" in out.getvalue()
