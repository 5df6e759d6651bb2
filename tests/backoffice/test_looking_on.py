"""An operator looks on: as a customer, with a reason, for an hour, and changes nothing."""

from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessLog
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import AuditEntry, Membership, User
from apps.accounts.tenancy import LOOKING_ON
from apps.backoffice.impersonation import MAY_SEND
from tests.cast import Cast
from tests.factories import MembershipFactory, UserFactory
from tests.portal.test_roles import PAGES, address

pytestmark = pytest.mark.django_db
REASON = "Ticket 17: a key that is refused"


@pytest.fixture
def ann(cast: Cast) -> Membership:
    """alice's owner, who belongs to bob's company, too."""
    ann = MembershipFactory(tenant=cast.alice.tenant)
    MembershipFactory(tenant=cast.bob.tenant, user=ann.user)
    return ann


def look_on(browser: Client, membership: Membership, **said: Any) -> Any:
    path = reverse("admin:accounts_tenant_look_on", args=[membership.tenant_id])
    return browser.post(path, {"user_pk": membership.user_id, "reason": REASON} | said)


def test_it_begins_and_ends_with_a_line_in_the_companys_audit_log(
    browser: Client, operator: User, ann: Membership
) -> None:
    answer = look_on(browser, ann)
    assert (answer.status_code, answer["Location"]) == (302, "/dashboard/")
    page = browser.get("/dashboard/").content.decode()
    assert f"as {ann.user.email}. Nothing can be changed." in page
    assert browser.get("/admin/").status_code == 302, "a customer has no admin"
    ended = browser.post("/admin/looking-on/stop/")
    assert ended["Location"] == reverse("admin:accounts_tenant_change", args=[ann.tenant_id])
    assert browser.get("/admin/").status_code == 200
    assert "Nothing can be changed" not in browser.get("/admin/").content.decode()
    begun, over = AuditEntry.objects.filter(action__startswith="impersonation.").order_by("pk")
    assert (begun.action, over.action) == ("impersonation.begun", "impersonation.ended")
    assert begun.after == {"as": ann.user.email, "reason": REASON}
    for entry in (begun, over):
        assert (entry.actor, entry.tenant, entry.target) == (operator.email, ann.tenant, ann.user.email)


def test_nobody_is_said_to_have_logged_in(browser: Client, ann: Membership) -> None:
    logins, last = AccessLog.objects.count(), ann.user.last_login
    lines = AuditEntry.objects.filter(action="user.logged_in").count()
    look_on(browser, ann)
    browser.post("/admin/looking-on/stop/")
    ann.user.refresh_from_db()
    assert (AccessLog.objects.count(), ann.user.last_login) == (logins, last)
    assert AuditEntry.objects.filter(action="user.logged_in").count() == lines


def test_no_form_of_any_page_is_taken(browser: Client, ann: Membership) -> None:
    look_on(browser, ann)
    before = AuditEntry.objects.count()
    for name, view in PAGES.items():
        assert browser.get(address(name)).status_code in (200, 302, 404, 405), name
        if hasattr(view, "post"):
            assert browser.post(address(name), {}).status_code == 403, name
    for path in ("/switch/", "/companies/new/", "/account/delete/", "/account/password/change/", "/account/logout/"):
        assert browser.post(path, {}).status_code == 403, path
    assert browser.post("/mode/", {"livemode": "1"}).status_code == 302
    assert AuditEntry.objects.count() == before
    assert set(MAY_SEND) == {"stop_looking_on", "mode"}


def test_only_the_company_with_the_reason_is_seen(browser: Client, ann: Membership, cast: Cast) -> None:
    other = Membership.objects.get(user=ann.user, tenant=cast.bob.tenant)
    look_on(browser, ann)
    page = browser.get("/dashboard/").content.decode()
    assert "Alice &amp; Co." in page and "Bob &amp; Co." not in page
    Membership.objects.filter(pk=ann.pk).delete()
    assert browser.get("/dashboard/")["Location"] == "/companies/none/"
    assert other.tenant == cast.bob.tenant


def test_it_takes_a_reason_a_member_and_the_right(browser: Client, ann: Membership, cast: Cast) -> None:
    colleague = MembershipFactory(tenant=cast.alice.tenant, user=UserFactory(is_staff=True))
    assert look_on(browser, ann, reason="").status_code == 200
    assert look_on(browser, ann, user_pk=UserFactory().pk).status_code == 200
    assert look_on(browser, colleague).status_code == 200, "another operator is not offered"
    assert LOOKING_ON not in browser.session
    plain = Client()
    plain.force_login(UserFactory(is_staff=True))
    assert look_on(plain, ann).status_code == 403
    stranger = Client()
    stranger.force_login(UserFactory())
    assert look_on(stranger, ann).status_code == 302
    assert stranger.post("/admin/looking-on/stop/").status_code == 403
    assert not AuditEntry.objects.filter(action__startswith="impersonation.").exists()


def test_it_ends_by_itself_after_an_hour(browser: Client, ann: Membership) -> None:
    look_on(browser, ann)
    session = browser.session
    session[LOOKING_ON] |= {"begun": (timezone.now() - timedelta(minutes=61)).isoformat()}
    session.save()
    assert browser.get("/dashboard/")["Location"] == "/admin/login/"
    assert AuditEntry.objects.filter(action="impersonation.ended").count() == 1
    assert browser.get("/dashboard/")["Location"].startswith("/account/login/")
