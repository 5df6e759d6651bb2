"""Trying out: each example of each kind is scored by the real API, stores nothing, and says what is wrong."""

import pytest
from django.test import Client, override_settings

from apps.accounts.tenancy import in_tenant
from apps.portal.pages.try_it import _shown
from apps.portal.try_fields import KINDS, transaction_of
from apps.scoring.models import Decision
from apps.scoring.serving.model_cards import for_research_only
from tests.cast import Cast
from tests.factories import MembershipFactory
from tests.live import free_port, serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def analyst(cast: Cast) -> Client:
    client = Client()
    membership = MembershipFactory(tenant=cast.alice.tenant, role="analyst")
    client.force_login(membership.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_each_example_is_scored_and_nothing_is_stored(analyst: Client, cast: Cast) -> None:
    with serving() as address, override_settings(API_INSIDE_URL=address):
        for name, kind in KINDS.items():
            for words, example in kind.examples.items():
                form = {field: _shown(value) for field, value in example.items()}
                answer = analyst.post(f"/try/{name}/", form).content.decode()
                assert "fraud probability" in answer, (name, words, answer)
            assert words in analyst.get(f"/try/?kind={name}").content.decode()
        wrong = analyst.post("/try/payments/", {"amount": "much"}).content.decode()
        assert 'class="notice bad"' in wrong
        assert "amount" in wrong
    with in_tenant(cast.alice.tenant):
        assert not Decision.objects.exists()


def test_an_api_that_is_away_is_said(analyst: Client) -> None:
    with override_settings(API_INSIDE_URL=f"http://127.0.0.1:{free_port()}"):
        assert "can't be reached" in analyst.post("/try/payments/", {"amount": "5"}).content.decode()


@pytest.mark.parametrize("form", [{"amount": "much"}, {"amount": "-5"}, {"amount": "", "card_present": ""}])
def test_what_is_typed_wrong_is_told_without_a_call_that_would_count(analyst: Client, form: dict[str, str]) -> None:
    with override_settings(API_INSIDE_URL=f"http://127.0.0.1:{free_port()}"):  # nobody listens
        told = analyst.post("/try/payments/", form).content.decode()
    assert "&#x27;amount&#x27;" in told
    assert "without quotes" not in told


def test_models_for_research_only_are_offered_with_a_warning(analyst: Client) -> None:
    warned = {kind for kind in KINDS if "allows research alone" in analyst.get(f"/try/?kind={kind}").content.decode()}
    assert warned == {kind for kind in KINDS if for_research_only(kind)} == {"ieee_cis"}


def test_a_field_left_empty_is_not_sent() -> None:
    kind = KINDS["payments"]
    assert transaction_of(kind, {"amount": "5", "card_present": ""}) == {**kind.always, "amount": 5.0}
    assert transaction_of(kind, {"amount": "x", "online_order": "true"}) == {
        **kind.always,
        "amount": "x",
        "online_order": True,
    }
