"""The aggregates' page: defined, refused where it is wrong, known to the rules' editor, archived when no rule asks."""

import pytest
from django.test import Client

from apps.scoring import policies
from tests.cast import Cast
from tests.portal.test_rules import browser

__all__ = ["browser"]

pytestmark = pytest.mark.django_db
SAID = {"name": "merchants_7d", "schema": "payments", "by": "user_id, country", "function": "distinct",
        "of": "merchant_id", "window": "7d", "where": "amount > 100\r\n&& country != 'US'"}  # fmt: skip
RULE = {"id": "many", "outcome": "review", "schema": "payments", "when": "aggregates.merchants_7d > 5"}


def test_defined_asked_for_and_archived(browser: Client, cast: Cast) -> None:
    assert "No aggregates of your own" in browser.get("/aggregates/").content.decode()
    assert browser.post("/aggregates/", SAID)["Location"] == "/aggregates/"
    cast.alice.tenant.refresh_from_db()
    (one,) = policies.in_force(cast.alice.tenant).aggregates
    assert (one.by, one.where) == (("user_id", "country"), "amount > 100 && country != 'US'")
    assert "aggregates.merchants_7d" in browser.get("/rules/new/").content.decode()  # the editor completes it
    assert browser.post("/rules/new/", RULE)["Location"] == "/rules/many/"
    browser.post("/rules/many/", {"do": "step", "state": "live", "share": "100"})
    kept = browser.post("/aggregates/", {"do": "archive", "name": one.name}, follow=True).content.decode()
    assert "Rules in force ask for merchants_7d: many." in kept
    browser.post("/rules/many/", {"do": "step", "state": "retired", "share": "100"})
    page = browser.post("/aggregates/", {"do": "archive", "name": one.name}, follow=True).content.decode()
    assert "is counted no more" in page and ">archived<" in page
    assert browser.post("/aggregates/", {"do": "archive", "name": "nothing"}).status_code == 404


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"by": "user_id, country, email"}, "One field or 2."), ({"by": "usr_id"}, "Did you mean user_id"),
        ({"of": ""}, "is of a field"), ({"where": "amount > 'x'"}, "Column 8: "), ({"name": "No"}, "Small letters"),
        ({"window": "8d"}, "Select a valid choice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_field(browser: Client, cast: Cast, changed: dict[str, str], said: str) -> None:
    answer = browser.post("/aggregates/", SAID | changed)
    assert answer.status_code == 422 and said in answer.content.decode()
    cast.alice.tenant.refresh_from_db()
    assert policies.in_force(cast.alice.tenant).aggregates == ()
