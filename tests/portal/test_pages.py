"""Pages do what they say: first steps, keys, decisions, switching."""

import re
from typing import Any

import pytest
from django.test import Client, override_settings

from apps.api_keys.models import ApiKey
from tests.cast import Api, Cast, enter
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def owner(cast: Cast) -> Client:
    """A browser of alice's owner, in test mode."""
    client = Client()
    membership = MembershipFactory(tenant=cast.alice.tenant)
    client.force_login(membership.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def decide(api: Api, transaction_id: str = "first-call") -> dict[str, Any]:
    body = {
        "schema": "payments",
        "transaction": {"transaction_id": transaction_id, "amount": 25.0, "user_id": "u", "merchant_id": "m"},
    }
    with override_settings(ROOT_URLCONF="config.urls_api", MIDDLEWARE=[]):
        answer = api.post("/v1/decisions", body)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


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
    with override_settings(ROOT_URLCONF="config.urls_api", MIDDLEWARE=[]):
        assert Api(cast.alice, text).get("/v1/usage").status_code == 401


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
    for action in ("revoke", "rotate"):
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
