"""Rules brought along in the portal: shown first, then taken over as drafts."""

import pytest
from django.test import Client

from apps.accounts.models import Membership
from tests.cast import Cast
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db
FORM = {"source": "stripe_radar", "text": "Block if :amount_in_usd: > 9000\nReview if :risk_score: > 65"}


@pytest.fixture
def owner(cast: Cast) -> Client:
    membership = MembershipFactory(tenant=cast.alice.tenant, role=Membership.Role.OWNER)
    client = Client()
    client.force_login(membership.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_what_it_becomes_is_shown_and_then_taken_over(owner: Client) -> None:
    assert owner.get("/rules/import/").status_code == 200
    shown = owner.post("/rules/import/", FORM).content.decode()
    assert "radar_1_block" in shown and "log_amount &gt; " in shown and "thresholds" in shown
    assert "radar_1_block" not in owner.get("/rules/").content.decode()
    assert owner.post("/rules/import/", FORM | {"do": "apply"}).status_code == 302
    assert "radar_1_block" in owner.get("/rules/").content.decode()


def test_what_can_not_be_read_is_said(owner: Client) -> None:
    answer = owner.post("/rules/import/", {"source": "amazon_fraud_detector", "text": "no JSON"})
    assert answer.status_code == 422 and "It can&#x27;t be read" in answer.content.decode()
