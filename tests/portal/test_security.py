"""Security: its page, ending sessions, and what asks for the password again."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client
from django.utils import timezone

from apps.accounts.models import AuditEntry, User
from apps.api_keys.models import ApiKey
from apps.offboarding import exports
from apps.portal.page import Page
from tests.cast import Cast, new_key
from tests.factories import MembershipFactory
from tests.portal.test_roles import PAGES, address

pytestmark = pytest.mark.django_db
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"

#: What can do harm: sending any form of it asks for the password again. And what asks for it now and then.
SENSITIVE = {
    "start",
    "data",
    "keys",
    "rotate_key",
    "revoke_key",
    "restrict_key",
    "webhooks",
    "team",
    "change_member",
    "enter_card",
    "closing",
}
SOMETIMES = {"webhook"}


@pytest.fixture
def owner(cast: Cast) -> Client:
    browser = Client()
    browser.force_login(MembershipFactory(tenant=cast.alice.tenant).user, backend=BACKEND)
    return browser


def an_hour_passes(browser: Client) -> None:
    """Since the login."""
    row = UserSession.objects.filter(session_key=browser.session.session_key)
    assert row.update(created_at=timezone.now() - timedelta(hours=1)) == 1


def email_of(browser: Client) -> str:
    return UserSession.objects.get(session_key=browser.session.session_key).user.email


def test_the_table_says_what_is_sensitive() -> None:
    assert {name for name, view in PAGES.items() if view.sensitive} == SENSITIVE
    own = {name for name, view in PAGES.items() if view.is_sensitive is not Page.is_sensitive}
    assert own == SOMETIMES


def test_what_can_do_harm_asks_for_the_password_again_after_a_while(owner: Client) -> None:
    an_hour_passes(owner)
    for name in PAGES:
        if hasattr(PAGES[name], "post") and name not in SOMETIMES:
            answer = owner.post(address(name), {})
            asked = answer.status_code == 302 and answer["Location"].startswith("/account/reauthenticate/")
            assert asked == (name in SENSITIVE), name


def test_after_the_password_the_form_is_taken_as_it_was_sent(owner: Client, cast: Cast) -> None:
    an_hour_passes(owner)
    key, _ = new_key(cast.alice.tenant, livemode=False)
    asked: Any = owner.post(f"/keys/{key.pk}/revoke/")
    assert ApiKey.objects.get(pk=key.pk).revoked_at is None
    wrong = owner.post(asked["Location"], {"password": "wrong"})
    assert wrong.status_code == 200 and ApiKey.objects.get(pk=key.pk).revoked_at is None
    assert owner.post(asked["Location"], {"password": email_of(owner)})["Location"] == "/resume/"
    assert sent_on(owner)["Location"] == "/keys/"
    assert ApiKey.objects.get(pk=key.pk).revoked_at is not None
    made = owner.post("/keys/", {"name": "next", "scopes": ["read"]})
    assert made.status_code == 200 and ApiKey.objects.filter(name="next").exists()


def sent_on(browser: Client) -> Any:
    """What the browser sends at /resume/."""
    page = browser.get("/resume/").content.decode().partition("<main")[2]
    path = unescape(re.search(r'<form method="post" action="([^"]+)" data-send>', page)[1])  # type: ignore[index]
    fields = [map(unescape, one) for one in re.findall(r'name="([^"]+)" value="([^"]*)"', page)]
    sent: dict[str, list[str]] = {}
    for name, value in fields:
        sent.setdefault(name, []).append(value)
    return browser.post(path, sent)


@pytest.mark.parametrize("path", ["/keys/", "/keys/?cursor=x"])
def test_every_value_of_a_form_is_sent_on_to_its_own_address(owner: Client, path: str) -> None:
    an_hour_passes(owner)
    asked: Any = owner.post(path, {"name": 'a "quoted" one', "scopes": ["read", "predict"]})
    owner.post(asked["Location"], {"password": email_of(owner)})
    made = sent_on(owner)
    assert (made.status_code, made.request["PATH_INFO"]) == (200, "/keys/")
    assert ApiKey.objects.get(name='a "quoted" one').scopes == ["read", "predict"]
    assert owner.get("/resume/")["Location"] == "/dashboard/", "once"


def test_a_form_sent_after_the_session_ended_waits_for_the_login(owner: Client, cast: Cast) -> None:
    email = email_of(owner)
    owner.logout()
    asked: Any = owner.post("/policy/defaults/?a=b", {"x": "1"})
    assert asked["Location"] == "/account/login/?next=/resume/"
    owner.force_login(User.objects.get(email=email), backend=BACKEND)
    page = owner.get("/resume/").content.decode()
    assert 'action="/policy/defaults/?a=b"' in page
    assert "data-send" not in page, "at a click: it may be somebody else who logged in"


def test_a_kept_form_is_nobody_elses_and_ends(owner: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    for changed in ({"sender": 0}, {"until": 1.0}):
        an_hour_passes(owner)
        owner.post("/keys/", {"name": "kept", "scopes": ["read"]})
        session = owner.session
        session["kept_form"] |= changed
        session.save()
        assert owner.get("/resume/")["Location"] == "/dashboard/"


def test_a_login_of_a_moment_ago_counts(owner: Client) -> None:
    assert owner.post("/keys/", {"name": "first", "scopes": ["read"]}).status_code == 200


def test_a_new_secret_of_a_webhook_asks_and_switching_it_off_does_not(owner: Client, cast: Cast) -> None:
    owner.post("/webhooks/", {"url": "https://example.com/hook"})
    path = f"/webhooks/{cast.alice.tenant.webhookendpoint_set.get().pk}/"
    an_hour_passes(owner)
    assert owner.post(path, {"do": "rotate"})["Location"].startswith("/account/reauthenticate/")
    assert owner.post(path, {"do": "disable"})["Location"] == path


def test_a_session_elsewhere_is_ended(owner: Client) -> None:
    user = UserSession.objects.get(session_key=owner.session.session_key).user
    other = Client()
    other.force_login(user, backend=BACKEND)
    there = UserSession.objects.get(session_key=other.session.session_key)
    page = owner.get("/security/").content.decode()
    assert page.count("End this session") == 1 and "this one" in page
    assert owner.post(f"/security/sessions/{there.pk}/end/").status_code == 302
    assert other.get("/dashboard/")["Location"].startswith("/account/login/")
    assert owner.get("/dashboard/").status_code == 200
    assert AuditEntry.objects.get(action="user.session_ended").actor == user.email
    assert "Session ended" in owner.get("/security/").content.decode()


def test_sessions_of_others_are_not_there(owner: Client, cast: Cast) -> None:
    other = Client()
    other.force_login(MembershipFactory(tenant=cast.alice.tenant).user, backend=BACKEND)
    theirs = UserSession.objects.get(session_key=other.session.session_key)
    assert owner.post(f"/security/sessions/{theirs.pk}/end/").status_code == 404
    assert other.get("/dashboard/").status_code == 200


# --- a closed account ------------------------------------------------------------------------------------------------


def close(owner: Client) -> Any:
    return owner.post("/closing/", {"name": "Alice & Co."})


def test_a_closed_account_is_read_and_reopened_and_takes_no_other_form(owner: Client) -> None:
    assert owner.post("/closing/", {"name": "alice"}).status_code == 422
    assert close(owner)["Location"] == "/closing/"
    page = owner.get("/dashboard/").content.decode()
    assert "This account is closed" in page
    open_ones = {name for name, view in PAGES.items() if view.works_when_closed}
    assert open_ones == {"closing", "ask_export", "enter_card", "change_member", "end_session"}
    for name, view in PAGES.items():
        if hasattr(view, "post") and name not in open_ones:
            assert owner.post(address(name), {}).status_code == 403, name
    assert owner.post("/closing/", {"do": "undo"}).status_code == 302
    assert "This account is closed" not in owner.get("/dashboard/").content.decode()


def test_only_an_owner_closes_and_exports(cast: Cast) -> None:
    admin = Client()
    admin.force_login(MembershipFactory(tenant=cast.alice.tenant, role="admin").user, backend=BACKEND)
    assert close(admin).status_code == 403
    assert admin.post("/closing/exports/").status_code == 403
    assert "Make an export" not in admin.get("/closing/").content.decode()


def test_an_export_is_asked_for_and_watched_and_fetched_with_the_password(owner: Client) -> None:
    owner.post("/closing/exports/")
    assert "hx-trigger" in owner.get("/closing/exports/progress/").content.decode()
    made = exports.make_next(timezone.now())
    assert made is not None
    assert "Download" in owner.get("/closing/").content.decode()
    fetched = owner.get(f"/closing/exports/{made.pk}/")
    assert fetched["Content-Disposition"].startswith('attachment; filename="palisade-alice-')
    assert b"".join(fetched.streaming_content)[:2] == b"PK"
    an_hour_passes(owner)
    assert owner.get(f"/closing/exports/{made.pk}/")["Location"].startswith("/account/reauthenticate/")


def test_an_account_is_deleted_from_the_page(owner: Client, cast: Cast) -> None:
    assert "only owner of" in owner.get("/account/delete/").content.decode()
    assert owner.post("/account/delete/").status_code == 409
    MembershipFactory(tenant=cast.alice.tenant)
    assert owner.post("/account/delete/")["Location"] == "/"
    assert owner.get("/dashboard/")["Location"].startswith("/account/login/")
