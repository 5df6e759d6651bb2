"""axe-core finds no violation of level A or AA on any page, empty or full, in either theme.

Not looked at: what Swagger UI and ReDoc draw at /docs and /redoc, which is theirs to mend (axe finds colours and nested
buttons); what they say is also in docs/api.md and openapi.json.
"""

from collections.abc import Iterator
from typing import Any

from axe_playwright_python.sync_playwright import Axe

from tests.browser.chromium import needs_chromium, window
from tests.browser.places import (
    ACCOUNT,
    INNER,
    OUTSIDE,
    addresses,
    admin,
    as_somebody_new,
    as_the_demo,
    as_the_operator,
    deeper,
    menu,
    of_a_batch,
    of_a_simulation,
    opened,
    turned,
)
from tests.copies import Copy

pytestmark = needs_chromium
LEVELS = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
#: What another theme changes.
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}


def test_pages_for_everybody(house: Copy, browser: Any) -> None:
    with window(browser) as page:
        assert found(page, addresses(house, OUTSIDE)) == []


def test_pages_of_a_company_with_history(house: Copy, browser: Any) -> None:
    with window(browser) as page:
        as_the_demo(house, page)
        assert found(page, [*addresses(house, [*menu(), *ACCOUNT, *INNER]), *deeper(house, page)]) == []
        assert found(page, of_a_batch(house, page)) == []
        assert found(page, of_a_simulation(house, page)) == []


def test_pages_of_a_new_company(house: Copy, browser: Any) -> None:
    with window(browser) as page:
        as_somebody_new(house, page, "axe@example.com")
        assert found(page, addresses(house, [*menu(), *INNER])) == []


def test_operators_pages(house: Copy, browser: Any) -> None:
    with window(browser) as page:
        as_the_operator(house, page)
        assert found(page, [*addresses(house, admin()), *forms(house, page)]) == []


def forms(house: Copy, page: Any) -> Iterator[tuple[str, str]]:
    """(name, address) of the first tenant's own page, and of where one is made."""
    page.goto(f"{house.portal}/admin/accounts/tenant/")
    row = page.locator("#result_list tbody th a").first.get_attribute("href")
    yield "admin-tenant", f"{house.portal}{row}"
    yield "admin-tenant-new", f"{house.portal}/admin/accounts/tenant/add/"


def found(page: Any, places: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> list[str]:
    """What is wrong, as lines: page, theme, rule, element, and why."""
    lines = []
    for name, address in places:
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        opened(page, address)
        lines += violations(page, f"{name} light", LEVELS)
        turned(page, "dark")
        lines += violations(page, f"{name} dark", COLOURS)
    return lines


def violations(page: Any, where: str, options: dict[str, Any]) -> list[str]:
    results = Axe().run(page, options=options | {"resultTypes": ["violations"]})
    return [
        f"{where}: {one['id']}: {node['html'][:160]}: {node['failureSummary'].splitlines()[1].strip()}"
        for one in results.response["violations"]
        for node in one["nodes"]
    ]
