"""All pages somebody may look at, from the tables that make them: menu, addresses, allauth's, the operators' admin."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.urls import resolve

from apps.backoffice.site import MENU as ADMIN
from apps.portal.navigation import MENU
from apps.portal.pages.analytics import VIEWS
from tests.browser.person import Person
from tests.copies import Copy
from tests.pace import within


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
    Place("status", "/status"),
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


#: Pages of one thing: its address's name → the list whose first row leads to it.
DEEPER = {
    "decision": "/decisions/", "webhook": "/webhooks/", "change_plan": "/plan/", "alert": "/alerts/", "list": "/lists/",
    "case": "/cases/", "rule": "/rules/", "policy_version": "/policy/", "sla_month": "/sla/",
}  # fmt: skip
#: Pages of what has to be made first: here, or where a test of its own makes it.
MADE = {"batch", "simulation", "own_model"}


def deeper(house: Copy, page: Any) -> Iterator[tuple[str, str]]:
    """(name, address) of the first row's own page, for each list that has rows."""
    for name, path in DEEPER.items():
        page.goto(house.portal + path)
        rows = page.locator(f"main :is(tbody, .versions, .card) a[href^='{path}']:not([href*='?'], [href$='.pdf'])")
        found = rows.evaluate_all("all => all.map((one) => one.getAttribute('href'))")
        own = next((href for href in found if resolve(href, "apps.portal.urls").url_name == name), None)
        if own:
            yield name.replace("_", "-"), house.portal + own


#: Views and pages that no line of the menu leads to at once.
INNER = (
    *(Place(f"analytics-{view}", f"/analytics/?view={view}") for view in VIEWS),
    Place("alert-rules", "/alerts/rules/"),
    Place("review-queues", "/cases/queues/"),
    Place("review-queue", "/cases/queues/default/"),
    Place("alert-rule", "/alerts/rules/volume_drop/"),
    Place("rule-new", "/rules/new/"),
    Place("rules-import", "/rules/import/"),
    Place("built-in-rules", "/policy/built-in/payments/"),
    Place("api-reference", "/help/api/"),
    Place("guide", "/help/answers/"),
)
ROWS = (
    "step,type,amount,nameOrig,oldbalanceOrg,newbalanceOrig,nameDest,oldbalanceDest,newbalanceDest,note\\n"
    + "".join(
        f"{hour},TRANSFER,{amount},C1,900,0,C2,0,900,x\\n" for hour, amount in enumerate((900, "much", 5.5), start=1)
    )
)
DROPPED = f"""
const held = new DataTransfer();
held.items.add(new File(["{ROWS}"], "may.csv", {{type: "text/csv"}}));
const area = document.querySelector("[data-drop]");
area.dispatchEvent(new DragEvent("drop", {{dataTransfer: held, bubbles: true, cancelable: true}}));
"""


def of_a_batch(house: Copy, page: Any) -> Iterator[tuple[str, str]]:
    """(name, address) of a batch's pages: a file that was dropped on the form, looked at, and scored meanwhile."""
    page.goto(f"{house.portal}/batches/")
    page.evaluate(f"() => {{{DROPPED}}}")
    page.get_by_label("Kind of transaction").first.select_option("paysim")
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("button", name="Start", exact=True).wait_for()
    address = page.url
    yield "batch-draft", address
    page.goto(address)
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_role("heading", name="completed").wait_for(timeout=within(60_000))  # the page asks by itself
    yield "batch", address


def of_a_simulation(house: Copy, page: Any) -> Iterator[tuple[str, str]]:
    """(name, address) of a simulation: lower thresholds, over the last month."""
    page.goto(f"{house.portal}/policy/simulate/")
    page.get_by_label("Review from").first.fill("0.05")
    page.get_by_label("Block from").first.fill("0.1")
    page.get_by_label("Over the last").select_option("30")
    page.get_by_role("button", name="Simulate", exact=True).click()
    page.get_by_role("heading", name="What is decided").wait_for(timeout=within(60_000))  # the page asks by itself
    yield "simulation", page.url


def opened(page: Any, address: str) -> None:
    """Open a page and wait until what it fetches for itself is there."""
    answer = page.goto(address)
    assert answer.status < 400 or "/invited/" in address, (address, answer.status)
    page.wait_for_load_state("networkidle")


def turned(page: Any, theme: str) -> None:
    """Show an open page in a theme. The operators' pages choose theirs when they are loaded."""
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    if page.locator("html[x-data]").count():
        opened(page, page.url)


def as_the_demo(house: Copy, page: Any) -> None:
    """Log in to a company with some weeks of history."""
    page.goto(f"{house.portal}/account/login/")
    page.get_by_role("button", name="Log in to the demo").click()
    page.get_by_role("navigation", name="Main").wait_for()


def admin() -> Iterator[Place]:
    """The operators' front page, and the list of every model in their menu."""
    yield Place("admin", "/admin/")
    for models in ADMIN.values():
        for model in models:
            yield Place(f"admin-{model}", f"/admin/{model.replace('.', '/')}/")


def as_the_operator(house: Copy, page: Any) -> None:
    """Log in as `make up`'s banner says."""
    email, password = re.search(r"Operator +(\S+) +password (\S+)", house.output).groups()  # type: ignore[union-attr]
    page.goto(f"{house.portal}/admin/")
    page.locator("input[name=username]").fill(email)
    page.locator("input[name=password]").fill(password)
    page.locator("[type=submit]").first.click()
    page.wait_for_url("**/admin/")


def as_somebody_new(house: Copy, page: Any, email: str) -> None:
    """Log in to a company without anything in it."""
    Person(house, page, email).signs_up("Empty Ltd")
