"""Every page and action, walked as every role: the table in apps/portal/roles.py is what happens."""

from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, resolve, reverse

from apps.accounts.models import Membership
from apps.portal.page import Page
from apps.portal.roles import GRANTS, PERMISSIONS, Permission, Role, may
from apps.portal.urls import urlpatterns
from tests.browser.places import DEEPER, INNER, MADE, menu
from tests.cast import Cast
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db

#: Open to whoever is logged in, or to everybody; no page of a tenant.
OUTSIDE = {
    "landing",
    "mailbox",
    "mode",
    "switch",
    "new_tenant",
    "no_tenant",
    "invited",
    "delete_account",
    "resume",
    "confirm_again",
}
OUTSIDE |= {"status", "status_json", "status_atom"}
#: Arguments of addresses that have some: an object nobody has.
ARGUMENTS = {"decision": ["dec_none"], "rotate_key": [1], "revoke_key": [1], "restrict_key": [1]}
ARGUMENTS |= {"webhook": ["whe_none"], "replay_delivery": ["dlv_none"], "invoice_paper": ["in_none"]}
ARGUMENTS |= {"change_member": [999_999_999], "withdraw_invitation": [999_999_999], "try_answer": ["none"]}
ARGUMENTS |= {"restore_policy": [999], "end_session": [999_999_999], "fetch_export": ["exp_none"]}
ARGUMENTS |= {"restore_policy": [999], "end_session": [999_999_999]}
ARGUMENTS |= {"decision_drawing": ["dec_none"], "repeat_decision": ["dec_none"], "turned_decision": ["dec_none"]}
ARGUMENTS |= {"replay_decision": ["dec_none"], "simulation": ["sim_none"], "simulation_progress": ["sim_none"]}
ARGUMENTS |= {"change_plan": ["basic"], "credit_note_paper": ["cn_none"]}
ARGUMENTS |= {"alert": ["alt_none"], "alert_rule": ["volume_drop"]}
ARGUMENTS |= {"batch": ["btc_none"], "batch_progress": ["btc_none"], "batch_problems": ["btc_none"]}
ARGUMENTS |= {"batch_results": ["btc_none", "csv"]}
ARGUMENTS |= {"case": ["cas_none"], "case_evidence": ["evi_none"], "review_queue": ["default"]}
ARGUMENTS |= {"guide": ["answers"], "label_decision": ["dec_none"]}
ARGUMENTS |= {"sla_month": ["2026-01"], "sla_paper": ["2026-01", "json"]}
ARGUMENTS |= {"list": ["none"], "list_progress": ["none"], "list_decision": ["dec_none"]}
ARGUMENTS |= {"own_model": ["mdl_none"]}
ARGUMENTS |= {"rule": ["none"], "built_in_rules": ["payments"], "policy_version": [999]}


def pages() -> Iterator[tuple[str, type[Page]]]:
    for pattern in urlpatterns:
        if isinstance(pattern, URLResolver):
            continue
        view = getattr(pattern.callback, "view_class", None)
        if view is not None and issubclass(view, Page):
            yield str(pattern.name), view


PAGES = dict(pages())


def address(name: str) -> str:
    return reverse(name, args=ARGUMENTS.get(name, []))


def browser_of(cast: Cast, role: str) -> Client:
    membership = MembershipFactory(tenant=cast.alice.tenant, role=role)
    client = Client()
    client.force_login(membership.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_every_address_is_a_page_or_named_here() -> None:
    named = {str(pattern.name) for pattern in urlpatterns if isinstance(pattern, URLPattern)}
    assert named == set(PAGES) | OUTSIDE


def test_every_page_is_looked_at_in_a_browser() -> None:
    """What tests/browser/places.py leaves out has no picture, and axe has not seen it."""
    seen = {resolve(place.path.partition("?")[0], "apps.portal.urls").url_name for place in (*menu(), *INNER)}
    whole = {name for name, view in PAGES.items() if getattr(view, "template", "").startswith("portal/pages/")}
    whole = {name for name in whole if "get" in PAGES[name].http_method_names}
    assert whole - {"sla_paper"} == (seen | DEEPER.keys() | MADE) - OUTSIDE


@pytest.mark.parametrize("role", Role.values)
def test_pages_open_for_those_who_may(cast: Cast, role: str) -> None:
    browser = browser_of(cast, role)
    for name, view in PAGES.items():
        opened = browser.get(address(name)).status_code in (200, 404, 405)
        assert opened == may(role, view.permission), name


@pytest.mark.parametrize("role", Role.values)
def test_forms_are_taken_from_those_who_may(cast: Cast, role: str) -> None:
    browser = browser_of(cast, role)
    for name, view in PAGES.items():
        if hasattr(view, "post"):
            answer = browser.post(address(name), {})
            assert answer.status_code < 500, name
            assert (answer.status_code != 403) == may(role, view.changes or view.permission), name


def test_nobody_sees_a_page_without_logging_in() -> None:
    for name in PAGES:
        answer = Client().get(address(name))
        assert answer.status_code == 302
        assert answer["Location"].startswith("/account/login/?next=/"), name


def test_who_was_removed_is_out_at_once(cast: Cast) -> None:
    browser = browser_of(cast, Role.OWNER)
    Membership.objects.all().delete()
    for name in PAGES:
        answer = browser.get(address(name))
        assert (answer.status_code, answer.get("Location")) == (302, "/companies/none/"), name


def test_a_session_never_leads_into_a_tenant_without_membership(cast: Cast) -> None:
    browser = browser_of(cast, Role.OWNER)
    assert browser.post("/switch/", {"tenant": cast.bob.tenant.pk}).status_code == 403
    session = browser.session
    session["tenant"] = cast.bob.tenant.pk
    session.save()
    assert cast.alice.tenant.name.replace("&", "&amp;") in browser.get("/dashboard/").content.decode()


def test_an_owner_may_everything_and_a_viewer_only_read() -> None:
    assert PERMISSIONS[Role.OWNER] == set(Permission)
    assert PERMISSIONS[Role.VIEWER] == {Permission.READ}


def test_nobody_grants_what_they_have_not() -> None:
    for role, granted in GRANTS.items():
        assert all(PERMISSIONS[other] <= PERMISSIONS[role] for other in granted)
