"""Pages do what they say: first steps, keys, decisions, switching."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from apps.api_keys.models import ApiKey
from apps.billing.subscriptions.services import subscription_of
from apps.notifications.models import Delivery, WebhookEndpoint
from apps.portal import tuning
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.policy_file import changed
from tests.cast import Api, Cast, enter
from tests.faces import as_the_api
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime.now(UTC)
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def owner(cast: Cast) -> Client:
    """A browser of alice's owner, in test mode."""
    client = Client()
    membership = MembershipFactory(tenant=cast.alice.tenant)
    client.force_login(membership.user, backend=BACKEND)
    return client


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def decide(api: Api, transaction_id: str = "first-call") -> dict[str, Any]:
    body = {
        "schema": "payments",
        "transaction": {"transaction_id": transaction_id, "amount": 25.0, "user_id": "u", "merchant_id": "m"},
    }
    with as_the_api():
        answer = api.post("/v1/decisions", body)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def test_the_first_steps_show_the_first_call_whatever_came_since(owner: Client, cast: Cast, drain: Any) -> None:
    api = Api(cast.alice, cast.alice.test_text)
    first, _ = decide(api, "first-of-all"), decide(api, "a-later-one")
    drain()
    shown = text_of(owner.get("/start/first-call/"))
    assert f"/decisions/{first['id']}/" in shown


def test_what_is_of_the_other_mode_is_offered_there(owner: Client, cast: Cast, drain: Any) -> None:
    live = decide(Api(cast.alice, cast.alice.text), "of-live")
    drain()
    made = {"pk": "we_of_live", "url": "https://example.com/hook", "created_at": NOW, "disabled_at": NOW}
    hook = WebhookEndpoint.objects.create(tenant=cast.alice.tenant, livemode=True, **made)
    for path, what in ((f"/decisions/{live['id']}/", "live decision"), (f"/webhooks/{hook.pk}/", "live webhook")):
        answer = owner.get(path)
        assert (answer.status_code, f"This is a {what}" in text_of(answer)) == (404, True)
        assert f'<input type="hidden" name="next" value="{path}">' in text_of(answer)
        assert owner.post("/mode/", {"livemode": "1", "next": path})["Location"] == path
        assert owner.get(path).status_code == 200
        owner.post("/mode/", {"livemode": "0", "next": path})


def test_an_open_point_of_live_mode_leads_into_live_mode(owner: Client, cast: Cast) -> None:
    cast.alice.live.revoked_at = NOW
    cast.alice.live.save()
    shown = text_of(owner.get("/dashboard/"))
    assert re.search(r'value="/keys/"><button name="livemode" value="1" class="as-link">Make a live key<', shown)
    owner.post("/mode/", {"livemode": "1"})
    assert '<a href="/keys/">Make a live key</a>' in text_of(owner.get("/dashboard/"))


@pytest.mark.parametrize("path", ["/usage/", "/plan/", "/plan/basic/change/", "/invoices/", "/billing/"])
def test_money_is_never_said_to_be_test_data(owner: Client, path: str) -> None:
    shown = text_of(owner.get(path))
    assert "Test data." not in shown
    assert "what stands here is real" in shown


def test_a_level_that_a_rule_made_is_explained(owner: Client, cast: Cast, drain: Any) -> None:
    rule = '[{"id": "mine", "outcome": "review", "all": [{"field": "amount", "op": "ge", "value": 25}]}]'
    owner.post("/policy/", POLICY | {"rules": rule})
    decided = decide(Api(cast.alice, cast.alice.test_text), "ruled")
    drain()
    shown = text_of(owner.get(f"/decisions/{decided['id']}/"))
    assert ("The level is medium because of the rule" in shown) is (decided["decisive"]["kind"] == "rule")
    assert decided["decisive"]["kind"] == "rule"


def test_the_key_of_the_first_steps_works_and_the_page_turns_green(owner: Client, cast: Cast, drain: Any) -> None:
    assert "Waiting for your first call" in text_of(owner.get("/start/first-call/"))
    made = text_of(owner.post("/start/"))
    key = re.search(r'id="new-key">(pk_test_\w+)<', made)[1]  # type: ignore[index]
    assert made.count(key) == 4  # shown, and in three languages
    decided = decide(Api(cast.alice, key))
    drain()
    turned = text_of(owner.get("/start/first-call/"))
    assert "Your first call has arrived" in turned
    assert f"/decisions/{decided['id']}/" in turned


def test_a_key_is_shown_once_and_ends_when_revoked(owner: Client, cast: Cast) -> None:
    form = {"name": "checkout", "scopes": ["predict", "read"], "networks": "203.0.113.0/24, 127.0.0.1"}
    made = text_of(owner.post("/keys/", form))
    text = re.search(r'id="new-key">(pk_test_\w+)<', made)[1]  # type: ignore[index]
    key = ApiKey.objects.get(name="checkout")
    assert (key.livemode, key.allowed_networks) == (False, ["203.0.113.0/24", "127.0.0.1/32"])
    assert text not in text_of(owner.get("/keys/"))
    decide(Api(cast.alice, text))
    assert owner.post(f"/keys/{key.pk}/revoke/").status_code == 302
    with as_the_api():
        assert Api(cast.alice, text).get("/v1/usage").status_code == 401


def test_a_keys_networks_are_changed_and_hold_at_once(owner: Client, cast: Cast, drain: Any) -> None:
    key, api = cast.alice.test, Api(cast.alice, cast.alice.test_text)
    decide(api)
    drain()
    assert f'<td class="number">{1}</td>' in text_of(owner.get("/keys/"))
    for networks, status in (("203.0.113.0/24", 403), ("10.0.0.0/99", 403), ("", 200)):
        assert owner.post(f"/keys/{key.pk}/networks/", {"networks": networks}).status_code == 302
        with as_the_api():
            assert api.get("/v1/usage").status_code == status
    assert "10.0.0.0/99" in text_of(owner.get("/keys/"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"networks": "10.0.0.0/99"}, "10.0.0.0/99"), ({"name": ""}, "required"), ({"scopes": []}, "required")],
)
def test_what_is_wrong_with_a_key_is_told_and_none_is_made(owner: Client, changes: Any, said: str) -> None:
    before = ApiKey.objects.count()
    answer = owner.post("/keys/", {"name": "x", "scopes": ["read"], **changes})
    assert answer.status_code == 422
    assert said in text_of(answer)
    assert ApiKey.objects.count() == before


def test_a_key_of_another_tenant_is_not_there(owner: Client, cast: Cast) -> None:
    for action in ("revoke", "rotate", "networks"):
        assert owner.post(f"/keys/{cast.bob.live.pk}/{action}/").status_code == 404
    cast.bob.live.refresh_from_db()
    assert cast.bob.live.revoked_at is None


def test_decisions_are_found_by_what_is_asked_in_their_own_mode(owner: Client, cast: Cast, drain: Any) -> None:
    api = Api(cast.alice, cast.alice.test_text)
    first, second = decide(api, "order-1"), decide(api, "order-2")
    other = decide(Api(cast.alice, cast.alice.text), "order-live")
    drain()
    listed = text_of(owner.get("/decisions/"))
    assert "order-1" in listed
    assert "order-live" not in listed
    found = text_of(owner.get("/decisions/?id=order-2"))
    assert "order-2" in found
    assert "order-1" not in found
    assert "order-1" in text_of(owner.get(f"/decisions/?id={first['id']}"))
    assert "Nothing found" in text_of(owner.get("/decisions/?recommended_action=block&from=2020-01-01&to=2020-02-01"))
    assert second["id"] in text_of(owner.get(f"/decisions/{second['id']}/"))
    assert owner.get(f"/decisions/{other['id']}/").status_code == 404
    owner.post("/mode/", {"livemode": "1", "next": "/decisions/"})
    assert owner.get(f"/decisions/{other['id']}/").status_code == 200


def test_one_decision_of_another_tenant_is_not_there(owner: Client, cast: Cast, drain: Any) -> None:
    theirs = decide(Api(cast.bob, cast.bob.test_text))
    drain()
    assert owner.get(f"/decisions/{theirs['id']}/").status_code == 404


@pytest.mark.parametrize("after", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "", "decisions"])
def test_no_form_leads_elsewhere(owner: Client, after: str) -> None:
    assert owner.post("/mode/", {"livemode": "1", "next": after})["Location"] == "/dashboard/"


def test_a_second_company_is_another_portal(owner: Client) -> None:
    assert owner.post("/companies/new/", {"company": "Second Ltd"})["Location"] == "/start/"
    assert "Second Ltd" in text_of(owner.get("/dashboard/"))
    third = enter("third", "free").tenant
    assert owner.post("/switch/", {"tenant": third.pk}).status_code == 403


def test_a_webhook_is_made_tested_and_replayed(owner: Client, cast: Cast) -> None:
    made = text_of(owner.post("/webhooks/", {"url": "https://hooks.example.com/palisade", "events": ["invoice.paid"]}))
    secret = re.search(r'id="new-secret">(whsec_[^<]+)<', made)[1]  # type: ignore[index]
    webhook = WebhookEndpoint.objects.get(tenant=cast.alice.tenant)
    assert (webhook.livemode, webhook.events) == (False, ["invoice.paid"])
    place = f"/webhooks/{webhook.pk}/"
    assert secret not in text_of(owner.get(place))
    owner.post(place, {"do": "test"})
    sent = Delivery.objects.get(endpoint=webhook)
    Delivery.objects.filter(pk=sent.pk).update(state="dead", next_try_at=None)
    assert "Send again" in text_of(owner.get(place))
    owner.post(f"/deliveries/{sent.pk}/replay/")
    assert Delivery.objects.filter(endpoint=webhook, event=sent.event).count() == 2
    owner.post(place, {"do": "disable"})
    assert "Switched off" in text_of(owner.get(place))
    owner.post(place, {"do": "delete"})
    assert not WebhookEndpoint.objects.filter(pk=webhook.pk).exists()


@pytest.mark.parametrize("url", ["http://hooks.example.com/", "https://127.0.0.1/", "https://", "ftp://a.example/"])
def test_an_address_no_webhook_may_have_is_refused_at_its_field(owner: Client, url: str) -> None:
    answer = owner.post("/webhooks/", {"url": url})
    assert answer.status_code == 422
    assert 'class="field wrong"' in answer.content.decode()
    assert not WebhookEndpoint.objects.exists()


def test_a_budget_holds_and_a_wrong_one_is_told(owner: Client, cast: Cast) -> None:
    assert owner.post("/usage/", {"spend_cap": "31.50", "thresholds": "50, 80 %"}).status_code == 302
    assert subscription_of(cast.alice.tenant.pk).spend_cap == Decimal("31.5")
    shown = text_of(owner.get("/usage/"))
    assert 'value="50, 80"' in shown
    assert 'value="31.50"' in shown, "an amount has its currency's decimals"
    assert re.search(r"[\d.]+ USD (of 31\.50 USD are spent|are spent, more than the cap of 31\.50 USD)", shown)
    assert "Counts the plan&#x27;s fee and every decision beyond the included ones" in shown
    for wrong in (
        {"spend_cap": "-1", "thresholds": "50"},
        {"spend_cap": "0.001", "thresholds": "50"},
        {"thresholds": "x"},
        {"thresholds": "101"},
        {"thresholds": " ".join(map(str, range(1, 12)))},
    ):
        assert owner.post("/usage/", wrong).status_code == 422
    assert subscription_of(cast.alice.tenant.pk).spend_cap == Decimal("31.5")


def test_billing_details_are_kept_as_their_country_writes_them_and_a_wrong_number_is_told(owner: Client) -> None:
    said = {"name": " Alice  AG ", "address": "Ring 1\r\n\r\n10115 Berlin", "country": "DE", "tax_id": "de 136 695 976"}
    assert owner.post("/billing/", said).status_code == 302
    shown = text_of(owner.get("/billing/"))
    assert "<address>Alice AG<br>Ring 1<br>10115 Berlin<br>Germany<br>Tax id DE136695976</address>" in shown
    for changes, told in (
        ({"tax_id": "DE12"}, "A tax number of Germany looks like DE136695976."),
        ({"country": ""}, "Choose the country first"),
        ({"address": "\n".join("abcdefg")}, "At most 6 lines."),
        ({"email": "nobody"}, "valid e-mail address"),
    ):
        wrong = owner.post("/billing/", said | changes)
        assert (wrong.status_code, told in text_of(wrong)) == (422, True), changes


def test_the_audit_log_says_who_changed_what(owner: Client) -> None:
    owner.post("/keys/", {"name": "audited", "scopes": ["read"]})
    shown = text_of(owner.get("/audit/"))
    assert "key.created" in shown
    assert "audited" in shown
    assert "Nothing found" in text_of(owner.get("/audit/?actor=nobody"))


@pytest.mark.parametrize("path", ["/decisions/", "/audit/", "/invoices/"])
@pytest.mark.parametrize("cursor", ["x", "e30", "W10", "-" * 500])
def test_a_cursor_that_is_none_of_ours_begins_again(owner: Client, path: str, cursor: str) -> None:
    assert owner.get(f"{path}?cursor={cursor}").status_code == 200


def test_a_plan_is_changed_and_what_is_no_plan_is_refused(owner: Client, cast: Cast) -> None:
    client = Client()
    tenant = enter("small", "free").tenant
    client.force_login(MembershipFactory(tenant=tenant).user, backend=BACKEND)
    assert "You are on Basic from now on" in text_of(client.post("/plan/", {"plan": "basic"}, follow=True))
    assert subscription_of(tenant.pk).plan_code.startswith("basic")
    assert "There is no such plan" in text_of(client.post("/plan/", {"plan": "gold"}, follow=True))
    assert "begins on" in text_of(client.post("/plan/", {"plan": "free"}, follow=True))
    assert subscription_of(tenant.pk).plan_code.startswith("basic")


POLICY = {
    "medium": "0.2", "high": "0.6", "critical": "0.9",
    "review_at": "0.2", "block_at": "0.6", "default_action": "review",
}  # fmt: skip


def test_a_policy_is_published_felt_and_taken_back(owner: Client, cast: Cast, drain: Any) -> None:
    rule = '[{"id": "mine", "outcome": "block", "all": [{"field": "amount", "op": "ge", "value": 25}]}]'
    assert owner.post("/policy/", POLICY | {"rules": rule}).status_code == 302
    decided = decide(Api(cast.alice, cast.alice.test_text), "ruled")
    assert (decided["recommended_action"], decided["decisive"]["id"]) == ("block", "mine")
    owner.post("/policy/", POLICY)
    shown = text_of(owner.get("/policy/"))
    assert "Version 2" in shown
    assert "Roll back" in shown
    owner.post("/policy/1/restore/")
    assert decide(Api(cast.alice, cast.alice.test_text), "again")["decisive"]["id"] == "mine"
    logged = text_of(owner.get("/audit/"))
    assert "policy.published" in logged
    assert "medium: 0.3 → 0.2" in logged, "each member, from what to what"


def test_a_policy_that_asks_for_a_list_there_is_not_is_refused(owner: Client, cast: Cast) -> None:
    """By the form, and when an earlier version comes back whose list was deleted meanwhile."""
    rule = '[{"id": "mine", "outcome": "block", "when": "user_id in lists.mule"}]'
    assert owner.post("/lists/", {"name": "mules", "item_type": "user"}).status_code == 302
    refused = owner.post("/policy/", POLICY | {"rules": rule})
    assert refused.status_code == 422
    assert "column 12: You have no list" in text_of(refused) and "Did you mean lists.mules?" in text_of(refused)
    owner.post("/lists/", {"name": "mule", "item_type": "user"})
    assert owner.post("/policy/", POLICY | {"rules": rule}).status_code == 302
    assert owner.post("/policy/", POLICY).status_code == 302
    assert owner.post("/lists/mule/", {"do": "delete"}).status_code == 302
    told = text_of(owner.post("/policy/1/restore/", follow=True))
    assert "Did you mean lists.mules?" in told and "Version 3" not in text_of(owner.get("/policy/"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"high": "0.1"}, "medium"),
        ({"block_at": "2"}, "less than or equal to 1"),
        ({"rules": "[{"}, "line 1"),
        ({"rules": '[{"id": "x", "outcome": "block", "all": [{"field": "nope", "op": "ge", "value": 1}]}]'}, "nope"),
    ],
)
def test_a_policy_that_can_not_be_is_told_at_its_field(owner: Client, cast: Cast, changes: Any, said: str) -> None:
    answer = owner.post("/policy/", POLICY | changes)
    assert (answer.status_code, said in text_of(answer)) == (422, True), text_of(answer)[-3000:]
    cast.alice.tenant.refresh_from_db()
    assert cast.alice.tenant.policy_version == 0


def test_a_built_in_rule_is_tuned_for_one_kind_and_put_back(owner: Client, cast: Cast) -> None:
    page = "/policy/built-in/payments/"
    assert owner.post(page, {"rule": "device_farm", "outcome": "off"}).status_code == 302
    decided = decide(Api(cast.alice, cast.alice.test_text), "tuned")
    assert "device_farm" not in {rule["id"] for rule in decided["rules"]}
    assert "1 of them tuned" in text_of(owner.get("/policy/"))
    owner.post(page, {"rule": "device_farm", "outcome": ""})
    decided = decide(Api(cast.alice, cast.alice.test_text), "put-back")
    assert "device_farm" in {rule["id"] for rule in decided["rules"]}
    assert owner.post(page, {"rule": "none", "outcome": "off"}).status_code == 404
    assert owner.get("/policy/built-in/none/").status_code == 404


def test_a_built_in_rules_limit_is_set_and_what_can_not_be_is_told_beside_it(owner: Client, cast: Cast) -> None:
    for kind in SCHEMAS:
        for one in tuning.tuned_rules(Policy(), kind):
            for limit in one.limits:
                tuned = tuning.read({"outcome": "", f"limit_{limit.field}": limit.usual})
                changed(Policy(), {"built_in": tuning.retuned(Policy(), kind, one.rule.id, tuned)}, ())
    said = {"rule": one.rule.id, "outcome": "", f"limit_{limit.field}": limit.usual}
    assert owner.post(f"/policy/built-in/{kind}/", said).status_code == 302
    for wrong, words in (
        (f"limit_{limit.field}", "A limit is a number from 0 on"),
        ("outcome", "Choose one of the outcomes"),
    ):
        answer = owner.post(f"/policy/built-in/{kind}/", said | {wrong: "-1"})
        assert (answer.status_code, words in text_of(answer)) == (422, True)


def test_versions_are_told_apart(owner: Client) -> None:
    owner.post("/policy/", POLICY | {"home_country": "Kenya"})
    owner.post("/policy/", POLICY | {"home_country": "Uzbekistan"})
    shown = text_of(owner.get("/policy/1/"))
    assert "Beside version 2" in shown
    assert "Uzbekistan" in shown and "Kenya" in shown
    assert "The same in everything" in text_of(owner.get("/policy/2/?beside=2"))
    assert owner.get("/policy/3/").status_code == 404


def test_thresholds_are_drawn_over_the_tenants_own_scores(owner: Client, cast: Cast, drain: Any) -> None:
    assert "to draw" in text_of(owner.get("/policy/"))
    decide(Api(cast.alice, cast.alice.test_text), "scored")
    drain()
    shown = owner.get("/policy/?kind=payments")
    assert shown.context["scores"].total == 1
    assert 'data-threshold="block_at" x1="420.0"' in shown.content.decode()
    assert "to draw" in text_of(owner.get("/policy/?kind=paysim"))


def test_a_change_of_plan_is_shown_before_it_is_agreed(owner: Client) -> None:
    shown = text_of(owner.get("/plan/enterprise/change/"))
    assert "prorated to the second" in shown
    assert "999.00 USD each whole month" in shown
    assert owner.get("/plan/gold/change/").status_code == 404


def test_a_decision_is_drawn_repeated_and_shows_its_parties(owner: Client, cast: Cast, drain: Any) -> None:
    api = Api(cast.alice, cast.alice.test_text)
    first, second = decide(api, "order-1"), decide(api, "order-2")
    drain()
    page = text_of(owner.get(f"/decisions/{first['id']}/"))
    assert f"/decisions/{second['id']}/" in page
    drawn = owner.get(f"/decisions/{first['id']}/waterfall.svg")
    assert (drawn["Content-Type"], b"<svg" in drawn.content) == ("image/svg+xml", True)
    again = text_of(owner.post(f"/decisions/{first['id']}/repeat/"))
    assert "can&#x27;t be reached" in again or "can't be reached" in again  # no API is served to this test
