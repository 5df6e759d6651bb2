"""All pages somebody may look at, from the tables that make them: menu, addresses, allauth's, the operators' admin."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from apps.portal.navigation import MENU
from tests.browser.person import Person
from tests.copies import Copy


class Place(NamedTuple):
    """A page: what a picture of it is called, its path, which process answers."""

    name: str
    path: str
    process: str = "portal"


#: For everybody.
OUTSIDE = (
    Place("landing", "/"),
    Place("login", "/account/login/"),
    Place("signup", "/account/signup/"),
    Place("password-reset", "/account/password/reset/"),
    Place("mailbox", "/mailbox/"),
    Place("invitation-ended", "/invited/nothing/"),
    Place("docs-errors", "/docs/errors", "api"),
    Place("docs-fields", "/docs/fields", "api"),
    Place("docs-models", "/docs/models", "api"),
)
#: Swagger UI's and ReDoc's pages, in our frame.
WIDGETS = (Place("docs", "/docs", "api"), Place("reference", "/redoc", "api"))
#: Of one's own account.
ACCOUNT = (
    Place("password-change", "/account/password/change/"),
    Place("email", "/account/email/"),
    Place("second-factor", "/account/2fa/"),
    Place("totp", "/account/2fa/totp/activate/"),
    Place("passkeys", "/account/2fa/webauthn/"),
    Place("passkey-new", "/account/2fa/webauthn/add/"),
    Place("sessions", "/account/sessions/"),
    Place("logout", "/account/logout/"),
    Place("delete-account", "/account/delete/"),
    Place("company-new", "/companies/new/"),
    Place("no-company", "/companies/none/"),
)


def menu() -> Iterator[Place]:
    """The menu's lines."""
    for entries in MENU.values():
        for entry in entries:
            yield Place(entry.path.strip("/").replace("/", "-"), entry.path)


def addresses(house: Copy, places: Iterable[Place]) -> Iterator[tuple[str, str]]:
    """(name, address) of each."""
    for place in places:
        yield place.name, f"{house.api if place.process == 'api' else house.portal}{place.path}"


def deeper(house: Copy, page: Any) -> Iterator[tuple[str, str]]:
    """(name, address) of the first row's own page, for each list that has rows."""
    for name, path in (("decision", "/decisions/"), ("webhook", "/webhooks/"), ("plan-change", "/plan/")):
        page.goto(house.portal + path)
        rows = page.locator(f"main tbody a[href^='{path}']:not([href*='?'])")
        if rows.count():
            yield name, house.portal + str(rows.first.get_attribute("href"))


def opened(page: Any, address: str) -> None:
    """Open a page and wait until what it fetches for itself is there."""
    answer = page.goto(address)
    assert answer.status < 400 or "/invited/" in address, (address, answer.status)
    page.wait_for_load_state("networkidle")


def as_the_demo(house: Copy, page: Any) -> None:
    """Log in to a company with some weeks of history."""
    page.goto(f"{house.portal}/account/login/")
    page.get_by_role("button", name="Log in to the demo").click()
    page.get_by_role("navigation", name="Main").wait_for()


def as_somebody_new(house: Copy, page: Any, email: str) -> None:
    """Log in to a company without anything in it."""
    Person(house, page, email).signs_up("Empty Ltd")
