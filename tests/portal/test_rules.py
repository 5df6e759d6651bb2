"""The rules' pages: written, refused where it is wrong, taken through its life, seen with what it did."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.tenancy import in_tenant
from apps.api_keys.services import get_gate
from apps.scoring import policies
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.rules import Condition, Rule
from apps.scoring.models import RuleDay
from tests.cast import Cast
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db
TEXT = {"id": "large", "outcome": "review", "schema": "payments", "when": "amount > 5000", "reason": "A gang."}


@pytest.fixture
def browser(cast: Cast) -> Client:
    client = Client()
    owner = MembershipFactory(tenant=cast.alice.tenant)
    client.force_login(owner.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def in_force(cast: Cast) -> Policy:
    cast.alice.tenant.refresh_from_db()
    return policies.in_force(cast.alice.tenant)


def test_a_rule_is_written_and_taken_through_its_life(browser: Client, cast: Cast) -> None:
    assert browser.post("/rules/new/", TEXT)["Location"] == "/rules/large/"
    for state in ("shadow", "live"):
        answer = browser.post("/rules/large/", {"do": "step", "state": state, "share": "25", "why": f"now {state}"})
        assert answer.status_code == 302
    (rule,) = in_force(cast).rules
    assert (rule.state, rule.share, rule.when) == ("live", 25, "amount > 5000")
    page = browser.get("/rules/large/").content.decode()
    assert "now shadow" in page and "A gang." in page and "25 %" in page


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"when": "amount > 5000 &amp;&amp; contry"}, "means nothing here"),
        ({"when": "amount > 5000 && contry == 'KE'"}, "Line 1, column 18: &#x27;contry&#x27; is no field."),
        ({"when": ""}, "This field is required"), ({"id": "no spaces"}, "Letters, digits"),
        ({"outcome": "explode"}, "Select a valid choice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_where_it_stands_and_kept(
    browser: Client, cast: Cast, changed: dict[str, str], said: str
) -> None:
    answer = browser.post("/rules/new/", {**TEXT, **changed})
    assert answer.status_code == 422 and said in answer.content.decode()
    assert in_force(cast).rules == ()


def test_a_step_that_does_not_follow_is_refused(browser: Client, cast: Cast) -> None:
    browser.post("/rules/new/", TEXT)
    browser.post("/rules/large/", {"do": "step", "state": "live", "share": "100"})
    answer = browser.post("/rules/large/", {"do": "step", "state": "draft", "share": "100"})
    assert answer.status_code == 422 and "becomes retired or shadow" in answer.content.decode()


def test_a_rule_of_conditions_is_shown_as_text_and_stays_one_until_that_changes(browser: Client, cast: Cast) -> None:
    rule = Rule(
        "old", "review", (Condition("amount", "gt", 5.0), Condition("country", "not_in", ("KE",))), schema="payments"
    )
    _publish(cast, rule)
    assert "amount &gt; 5 &amp;&amp; !(country in [&quot;KE&quot;])" in browser.get("/rules/old/").content.decode()
    shown = {"outcome": "block", "schema": "payments", "when": 'amount > 5 && !(country in ["KE"])'}
    assert browser.post("/rules/old/", shown).status_code == 302
    assert (in_force(cast).rules[0].outcome, in_force(cast).rules[0].all) == ("block", rule.all)


def test_what_rules_did_is_told(browser: Client, cast: Cast) -> None:
    browser.post("/rules/new/", TEXT)
    day: dict[str, Any] = {"day": timezone.now().date(), "schema": "payments", "fraud": 0}
    with in_tenant(cast.alice.tenant):
        for livemode in (True, False):
            RuleDay.objects.create(rule="large", decisions=1234, decided=77, livemode=livemode, **day)
            RuleDay.objects.create(rule="shadow:large", decisions=4321, decided=0, livemode=livemode, **day)
    for path in ("/rules/", "/rules/large/"):
        page = browser.get(path).content.decode().replace(",", "")
        assert "1234" in page and "77" in page and "4321" in page


def test_a_condition_is_checked_while_it_is_written(browser: Client) -> None:
    told = browser.post("/rules/check/", {"when": "amount > 5 && nothing > 1", "schema": "payments"}).json()
    assert told["offset"] == 14 and "Line 1, column 15" in told["wrong"]
    assert browser.post("/rules/check/", {"when": "amount > 5"}).json() == {"wrong": "", "offset": None}


def test_what_is_written_on_lines_is_kept_on_one(browser: Client, cast: Cast) -> None:
    browser.post("/rules/new/", {**TEXT, "when": "amount > 5000\r\n&& country == 'KE'"})
    assert in_force(cast).rules[0].when == "amount > 5000  && country == 'KE'"
    commented = {**TEXT, "id": "two", "when": "amount > 5000 // large\n&& country == 'KE'"}
    assert "leave comments" in browser.post("/rules/new/", commented).content.decode()


def test_a_viewer_sees_rules_and_changes_none(cast: Cast, browser: Client) -> None:
    browser.post("/rules/new/", TEXT)
    viewer = Client()
    member = MembershipFactory(tenant=cast.alice.tenant, role="viewer")
    viewer.force_login(member.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert "Save" not in viewer.get("/rules/large/").content.decode()
    assert viewer.post("/rules/large/", {**TEXT, "do": "save"}).status_code == 403


def _publish(cast: Cast, *rules: Rule) -> None:
    policies.publish(tenant=cast.alice.tenant, policy=Policy(rules=rules), gate=get_gate(), now=timezone.now())
