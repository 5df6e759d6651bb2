"""What holds of every address: it leads to no other site, knows nothing of others, and its cookies stay home."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client, override_settings
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from apps.accounts import invitations
from apps.accounts.models import Membership
from apps.notifications.services import create_webhook, send_test
from apps.offboarding.exports import ask_for_export
from apps.portal.urls import urlpatterns
from tests.cast import Cast, new_key
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db(transaction=True)
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
ELSEWHERE = (
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "https:evil.example",
    "\tjavascript:alert(1)",
)
#: Parameters that may say where to go next.
NEXT = ("next", "redirect", "redirect_to", "return", "url", "success_url")


def named(patterns: Any) -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from named(pattern.url_patterns)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield str(pattern.name)


#: Addresses of all pages, allauth's too.
ALL = sorted(set(named(get_resolver("apps.portal.urls").url_patterns)))


@pytest.fixture
def owner(cast: Cast) -> Client:
    browser = Client()
    browser.force_login(MembershipFactory(tenant=cast.alice.tenant).user, backend=BACKEND)
    return browser


def leads(answer: Any) -> str:
    return str(answer.get("Location", ""))


def test_no_address_leads_to_another_site(owner: Client) -> None:
    """Asked by name or by form, logged in or not."""
    for name in ALL:
        path = _address(name)
        if path is None:
            continue
        for browser in (Client(), owner):
            for there in ELSEWHERE[:3]:
                said = dict.fromkeys(NEXT, there)
                assert not leads(browser.get(path, said)).startswith(("http", "//", "/\\")), (name, there)
    for there in ELSEWHERE:
        said = dict.fromkeys(NEXT, there) | {"livemode": "1"}
        assert leads(owner.post("/mode/", said)) == "/dashboard/"


def test_a_login_leads_to_our_pages_alone(cast: Cast) -> None:
    user = MembershipFactory(tenant=cast.alice.tenant).user
    for there in ELSEWHERE:
        answer = Client().post(
            f"/account/login/?next={there}", {"login": user.email, "password": user.email, "next": there}
        )
        assert leads(answer).startswith("/") and "evil" not in leads(answer).partition("?")[0], there


def _address(name: str) -> str | None:
    """Where it is; None where it takes arguments."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return None


def of_another_tenant(cast: Cast) -> dict[str, Any]:
    """Address → the id of something that is there, and bob's."""
    now, tenant = timezone.now(), cast.bob.tenant
    hook = create_webhook(tenant=tenant, livemode=False, url="https://example.com/h", now=now)
    invitation, _ = invitations.invite(tenant=tenant, email="x@example.com", role="viewer", now=now, actor="ben")
    key = new_key(tenant, livemode=False)[0]
    return {
        "rotate_key": key.pk,
        "revoke_key": key.pk,
        "restrict_key": key.pk,
        "webhook": hook.pk,
        "replay_delivery": send_test(webhook=hook, now=now).pk,
        "change_member": MembershipFactory(tenant=tenant, role="viewer").pk,
        "withdraw_invitation": invitation.pk,
        "fetch_export": ask_for_export(tenant=tenant, now=now, actor="ben").pk,
    }


def test_what_is_anothers_is_as_if_it_were_not(owner: Client, cast: Cast) -> None:
    there = of_another_tenant(cast)
    members = Membership.objects.count()
    for name, theirs in there.items():
        path = reverse(name, args=[theirs])
        for answer in (owner.get(path), owner.post(path, {"do": "remove", "role": "viewer"})):
            assert answer.status_code in (404, 405), name
    assert Membership.objects.count() == members


@override_settings(SESSION_COOKIE_SECURE=True, CSRF_COOKIE_SECURE=True)
def test_cookies_are_for_us_alone_and_never_for_scripts(cast: Cast) -> None:
    """Whatever page sets one; behind TLS they stay with it."""
    browser = Client()
    user = MembershipFactory(tenant=cast.alice.tenant).user
    browser.get("/account/login/", secure=True)
    browser.post("/account/login/", {"login": user.email, "password": user.email}, secure=True)
    found = set()
    for pattern in urlpatterns:
        if isinstance(pattern, URLPattern) and pattern.name and (path := _address(str(pattern.name))):
            browser.get(path, secure=True)
            found |= set(browser.cookies)
    assert {"sessionid", "csrftoken"} <= found
    for name in found:
        cookie = browser.cookies[name]
        assert not cookie.value or (cookie["httponly"] and cookie["secure"] and cookie["samesite"] == "Lax"), name
