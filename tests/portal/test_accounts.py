"""Signing up, confirming, logging in: from nothing to the first call's page."""

import re
import time

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client

from apps.accounts.models import AuditEntry, Membership, Tenant, User
from apps.accounts.services import free_slug
from apps.billing.models import Subscription
from tests.cast import Cast
from tests.pace import within

pytestmark = pytest.mark.django_db

FORM = {"company": "  Acme   Kräuter GmbH ", "email": "Ann@Example.com", "password1": "correct horse battery 9"}


def sign_up(client: Client, **changes: str) -> str:
    """The link of the mail that came."""
    answer = client.post("/account/signup/", FORM | changes)
    assert answer.status_code == 302, answer.content.decode()
    return re.search(r"https?://[^/]+(/account/confirm-email/\S+)", str(mail.outbox[-1].body))[1]  # type: ignore[index]


def test_sign_up_makes_the_tenant_its_owner_and_the_free_plan_within_two_seconds() -> None:
    began = time.monotonic()
    sign_up(Client())
    assert time.monotonic() - began < within(2)
    membership = Membership.objects.select_related("user", "tenant").get(user__email="ann@example.com")
    assert (membership.role, membership.tenant.name, membership.tenant.slug) == (
        "owner",
        "Acme Kräuter GmbH",
        "acme-krauter-gmbh",
    )
    assert Subscription.objects.get(tenant=membership.tenant).plan_code.startswith("free")
    audited = set(AuditEntry.objects.filter(tenant=membership.tenant).values_list("action", "actor"))
    assert ("tenant.created", "ann@example.com") in audited


def test_nothing_opens_before_the_address_is_confirmed_and_the_link_opens_it() -> None:
    client = Client()
    link = sign_up(client)
    assert client.get("/dashboard/").status_code == 302
    answer = client.get(link)
    assert (answer.status_code, answer["Location"]) == (302, "/start/")
    assert client.get("/start/").status_code == 200
    assert AuditEntry.objects.filter(action="user.email_confirmed", actor="ann@example.com").exists()


def test_the_link_in_another_browser_confirms_and_asks_to_log_in() -> None:
    link = sign_up(Client())
    other = Client()
    assert other.get(link).status_code == 302
    answer = other.post("/account/login/", {"login": "ann@example.com", "password": FORM["password1"]})
    assert (answer.status_code, answer["Location"]) == (302, "/start/")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"password1": "short"}, "at least 10 characters"),
        ({"password1": "password1234"}, "too common"),
        ({"email": "nobody"}, "valid e-mail"),
        ({"company": "  "}, "required"),
        ({"company": "a\x07b"}, "control character"),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_nothing_is_made(changes: dict[str, str], said: str) -> None:
    before = Tenant.objects.count()
    answer = Client().post("/account/signup/", FORM | changes)
    assert said in answer.content.decode()
    assert (Tenant.objects.count(), User.objects.filter(email="ann@example.com").count()) == (before, 0)


def test_an_address_that_has_an_account_is_not_told_to_strangers() -> None:
    Client().get(sign_up(Client()))
    before = Tenant.objects.count()
    cache.clear()  # the address was written to a moment ago
    answer = Client().post("/account/signup/", FORM | {"company": "Other"})
    assert (answer.status_code, answer["Location"]) == (302, "/account/confirm-email/")
    assert Tenant.objects.count() == before
    assert "already" in str(mail.outbox[-1].body)


def test_companies_of_one_name_have_slugs_of_their_own() -> None:
    sign_up(Client())
    sign_up(Client(), email="ben@example.com")
    slugs = Tenant.objects.filter(name="Acme Kräuter GmbH").order_by("pk").values_list("slug", flat=True)
    assert list(slugs) == ["acme-krauter-gmbh", "acme-krauter-gmbh-2"]
    assert free_slug("公司") == "company"


@pytest.mark.parametrize("path", ["password/change", "email", "2fa", "sessions", "logout"])
def test_pages_of_an_account_open(cast: Cast, path: str) -> None:
    client = Client()
    link = sign_up(client)
    client.get(link)
    assert client.get(f"/account/{path}/").status_code == 200


AGAIN = "/account/confirm-email/again/"


def test_the_confirmation_is_mailed_again_to_whoever_waits_for_it_and_not_at_once() -> None:
    client = Client()
    sign_up(client)
    assert "Send the mail again" in client.get("/account/confirm-email/").content.decode()
    client.post(AGAIN, {"email": "ANN@example.com"})
    assert len(mail.outbox) == 1, "one mail in three minutes"
    cache.clear()
    client.post(AGAIN, {"email": "ANN@example.com"})
    assert len(mail.outbox) == 2
    link = re.search(r"https?://[^/]+(/account/confirm-email/\S+)", str(mail.outbox[-1].body))[1]  # type: ignore[index]
    assert Client().get(link).status_code == 302
    assert AuditEntry.objects.filter(action="user.email_confirmed").exists()


@pytest.mark.parametrize("email", ["nobody@example.com", "ann@example.com"])
def test_nobody_is_told_whether_an_address_waits_for_its_confirmation(email: str) -> None:
    sign_up(Client())
    cache.clear()
    said = Client().post(AGAIN, {"email": email}, follow=True).content.decode()
    assert f"If {email} waits for its confirmation, a new mail is on its way." in said
