"""Pages under their Content-Security-Policy in a real browser: they work, and nothing of theirs is held up.

Needs a Chromium (`apt-get install --no-install-recommends chromium`); without one these are skipped.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.tenancy import in_tenant
from apps.review.models import Case
from tests.browser.chromium import looking, needs_chromium, started, window
from tests.cast import Cast
from tests.factories import MembershipFactory
from tests.live import serving
from tests.pace import within
from tests.review.cases import a_case

#: Tables that are wider than what is around them.
WIDER_TABLES = "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth + 1).length"
pytestmark = [pytest.mark.django_db(transaction=True), needs_chromium]


@pytest.fixture(scope="module")
def portal(cast: Cast) -> Iterator[str]:
    """A running one's address."""
    with serving("portal") as address:
        yield address


def test_admin_works_under_its_policy(portal: str, operator: User, settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["apps.accounts.passwords.BoundedArgon2"]
    operator.set_password("a-long-password")
    operator.save()
    with looking() as page:
        page.goto(f"{portal}/admin/")
        page.fill("input[name=username]", operator.email)
        page.fill("input[name=password]", "a-long-password")
        page.click("[type=submit]")
        page.wait_for_url(f"{portal}/admin/")
        for path in ("", "accounts/tenant/", "api_keys/apikey/", "api_keys/apikey/add/", "accounts/user/add/"):
            page.goto(f"{portal}/admin/{path}")
            page.wait_for_function("window.Alpine !== undefined")
        assert page.locator("[x-data]").count() > 0
        assert page.evaluate("document.querySelector('[x-data]')._x_dataStack !== undefined")  # Alpine could evaluate


def test_first_page_works_under_its_policy(portal: str) -> None:
    with looking() as page:
        page.goto(f"{portal}/")
        assert page.inner_text("h1") == "Fraud decisions in about a millisecond."


#: The API's pages, and what shows that one is there.
DOCUMENTATION = {
    "/docs": ".opblock", "/redoc": "[data-section-id]", "/docs/errors": "table", "/docs/fields": "table",
    "/docs/models": "table",
}  # fmt: skip


def test_documentation_works_under_its_policy_and_fits_a_telephone() -> None:
    """375 px wide: nothing of a page has to be pushed sideways to be read, but for examples of code."""
    with serving("api") as address, started() as browser:
        for path, shown in DOCUMENTATION.items():
            with window(browser, viewport={"width": 375, "height": 800}) as page:
                asked: list[str] = []
                page.on("request", lambda request, asked=asked: asked.append(request.url))
                page.goto(f"{address}{path}")
                page.wait_for_selector(shown, timeout=within(60_000))
                assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
                assert page.evaluate("document.documentElement.scrollWidth") <= 375, path
                assert page.evaluate(WIDER_TABLES) == 0, path
                if path == "/docs":
                    page.click(".opblock-summary-control >> nth=0")
                    page.wait_for_selector(".opblock.is-open")


def test_a_case_is_worked_by_keyboard_and_nothing_is_stolen_from_who_types(
    portal: str, cast: Cast, settings: Any
) -> None:
    """Down the list, into the case, what it was, sent: six keys."""
    reviewer = Client()
    membership = MembershipFactory(tenant=cast.alice.tenant, role="analyst")
    reviewer.force_login(membership.user, backend="allauth.account.auth_backends.AuthenticationBackend")
    due = timezone.now() - timedelta(days=2)
    first, second = (a_case(cast.alice.tenant, livemode=False, at=due + timedelta(hours=n)) for n in range(2))
    with looking() as page:
        cookie = reviewer.cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": portal}])
        page.goto(f"{portal}/cases/")
        page.keyboard.press("?")
        assert page.locator("dialog[open]").count() == 1
        page.keyboard.press("Escape")
        page.locator("input[name=q]").focus()
        page.keyboard.type("jc?")
        assert (page.locator("input[name=q]").input_value(), page.locator("dialog[open]").count()) == ("jc?", 0)
        page.goto(f"{portal}/cases/")
        for key in "jjk":
            page.keyboard.press(key)
        assert page.evaluate("document.activeElement.pathname") == f"/cases/{first.pk}/"
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/cases/{first.pk}/")
        for key in ("f", "Enter"):
            page.keyboard.press(key)
        page.wait_for_url("**/cases/")
        page.keyboard.press("c")
        page.wait_for_url(f"**/cases/{second.pk}/")
        assert "Yours" in page.inner_text("main")
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    with in_tenant(cast.alice.tenant):
        assert Case.objects.get(pk=first.pk).resolution == "fraud"
