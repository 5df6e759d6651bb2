"""The pages of simulations: a draft is asked for, its outcome drawn, its flips given as a file."""

from typing import Any

import pytest
from django.test import Client

from apps.portal.filters import search
from apps.portal.table import Table
from tests.cast import Cast
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db(transaction=True)
DRAFT = {
    "medium": "0.3", "high": "0.7", "critical": "0.9", "review_at": "0.1", "block_at": "0.5",
    "default_action": "review",
    "days": "30", "loss": "1", "review": "3", "lost_sale": "0.05",
}  # fmt: skip


@pytest.fixture
def owner(cast: Cast) -> Client:
    client = Client()
    membership = MembershipFactory(tenant=cast.alice.tenant)
    client.force_login(membership.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_a_draft_is_simulated_and_its_outcome_drawn(owner: Client) -> None:
    page = owner.post("/policy/simulate/", DRAFT, follow=True)
    assert (page.status_code, page.templates[0].name) == (200, "portal/pages/simulation.html")
    text = page.content.decode()
    assert "Decided differently" in text and "No decision changes" in text
    address = page.redirect_chain[-1][0]
    told: Any = owner.get(f"{address}?export=csv")
    assert told["Content-Type"].startswith("text/csv")
    assert address.encode() in owner.get("/policy/simulate/").content


def test_thresholds_out_of_order_are_told_by_the_names_of_their_fields(owner: Client) -> None:
    page = owner.post("/policy/simulate/", DRAFT | {"block_at": "0.05"})
    assert page.status_code == 422
    assert "none smaller than the one before it: “Review from”, “Block from”." in page.content.decode()


def test_a_filter_may_not_be_called_as_what_every_address_asks() -> None:
    with pytest.raises(ValueError, match="before"):
        Table(columns=(), row="", filters=(search("Was", "was")._replace(name="before"),))
