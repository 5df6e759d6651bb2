"""Inviting, joining, changing roles, leaving."""

import re
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from apps.accounts.models import AuditEntry, Invitation, Membership, User
from tests.cast import Cast
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


@pytest.fixture
def owner(cast: Cast) -> Client:
    return browser_of(MembershipFactory(tenant=cast.alice.tenant).user)


def invite(client: Client, email: str, role: str = "viewer") -> str:
    """The path of the link that was mailed."""
    assert client.post("/team/", {"email": email, "role": role}).status_code == 302
    return re.search(r"https?://[^/]+(/invited/\S+)", str(mail.outbox[-1].body))[1]  # type: ignore[index]


def test_an_invited_viewer_joins_and_can_make_no_keys(owner: Client, cast: Cast) -> None:
    link = invite(owner, "Vera@Example.com")
    vera = UserFactory(email="vera@example.com")
    client = browser_of(vera)
    assert cast.alice.tenant.name.replace("&", "&amp;") in client.get(link).content.decode()
    assert client.post(link)["Location"] == "/dashboard/"
    assert Membership.objects.get(user=vera).role == "viewer"
    assert client.get("/keys/").status_code == 200
    assert client.post("/keys/", {"name": "x", "scopes": ["read"]}).status_code == 403
    assert client.get(link).status_code == 404  # of one use
    assert AuditEntry.objects.filter(action="membership.created", actor="vera@example.com").exists()


def test_a_link_is_for_the_address_it_was_sent_to(owner: Client) -> None:
    link = invite(owner, "vera@example.com")
    other = UserFactory(email="mallory@example.com")
    answer = browser_of(other).post(link)
    assert "The invitation is for vera@example.com" in answer.content.decode()
    assert not Membership.objects.filter(user=other).exists()


def test_no_secret_of_a_link_is_kept(owner: Client) -> None:
    link = invite(owner, "vera@example.com")
    kept = Invitation.objects.values().get()
    assert link.split("/")[2] not in str(kept)


@pytest.mark.parametrize(("role", "wanted"), [("admin", "owner")])
def test_nobody_gives_a_role_above_their_own(cast: Cast, role: str, wanted: str) -> None:
    client = browser_of(MembershipFactory(tenant=cast.alice.tenant, role=role).user)
    other = MembershipFactory(tenant=cast.alice.tenant, role="viewer")
    assert client.post("/team/", {"email": "x@example.com", "role": wanted}).status_code == 422
    assert client.post(f"/team/{other.pk}/", {"role": wanted}).status_code == 403
    top = MembershipFactory(tenant=cast.alice.tenant, role=wanted)
    assert client.post(f"/team/{top.pk}/", {"do": "remove"}).status_code == 403


def test_the_last_owner_stays(owner: Client, cast: Cast) -> None:
    mine = Membership.objects.get(tenant=cast.alice.tenant)
    for asked in ({"role": "viewer"}, {"do": "remove"}):
        answer: Any = owner.post(f"/team/{mine.pk}/", asked, follow=True)
        assert "needs an owner" in answer.content.decode()
    mine.refresh_from_db()
    assert mine.role == "owner"


def test_whoever_leaves_is_out(owner: Client, cast: Cast) -> None:
    vera = MembershipFactory(tenant=cast.alice.tenant, role="viewer")
    client = browser_of(vera.user)
    assert client.post(f"/team/{vera.pk}/", {"do": "remove"}).status_code == 302
    assert client.get("/team/")["Location"] == "/companies/none/"


def test_members_and_invitations_of_another_tenant_are_not_there(owner: Client, cast: Cast) -> None:
    theirs = MembershipFactory(tenant=cast.bob.tenant, role="viewer")
    assert owner.post(f"/team/{theirs.pk}/", {"do": "remove"}).status_code == 404
    assert Membership.objects.filter(pk=theirs.pk).exists()


def test_an_invitation_is_withdrawn(owner: Client) -> None:
    link = invite(owner, "vera@example.com")
    owner.post(f"/team/invitations/{Invitation.objects.get().pk}/withdraw/")
    assert browser_of(UserFactory(email="vera@example.com")).get(link).status_code == 404


def test_who_has_no_account_joins_by_signing_up_and_is_asked_for_no_company(owner: Client, cast: Cast) -> None:
    link, client = invite(owner, "vera@example.com"), Client()
    form = client.get(link, follow=True).content.decode()
    assert "Join Alice" in form
    assert 'value="vera@example.com"' in form
    assert 'name="company"' not in form
    assert 'name="next"' not in form  # its link has ended by then
    account = {"email": "mallory@example.com", "password1": "correct horse battery 9"}
    assert "sign up with that address" in client.post("/account/signup/", account).content.decode()
    assert client.post("/account/signup/", account | {"email": "Vera@example.com"}).status_code == 302
    confirm = re.search(r"https?://[^/]+(/account/confirm-email/\S+)", str(mail.outbox[-1].body))[1]  # type: ignore[index]
    assert client.get("/team/").status_code == 302  # not before the address is confirmed
    client.get(confirm)
    assert "Alice" in client.get("/team/").content.decode()
    vera = User.objects.get(email="vera@example.com")
    assert [(one.tenant, one.role) for one in Membership.objects.filter(user=vera)] == [(cast.alice.tenant, "viewer")]


def test_an_invitation_that_was_withdrawn_meanwhile_is_a_sign_up_like_any_other(owner: Client) -> None:
    link, client = invite(owner, "vera@example.com"), Client()
    client.get(link)
    Invitation.objects.all().delete()
    assert 'name="company"' in client.get("/account/signup/").content.decode()
