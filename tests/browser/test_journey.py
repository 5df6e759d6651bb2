"""A company serves itself, from sign-up to the day an operator suspends it: over the real processes, in a browser.

One way, walked once, in the order of a customer's life. Each step is a method of `Person`.
"""

from typing import Any

from tests.browser.chromium import needs_chromium, window
from tests.browser.person import Person
from tests.browser.places import as_the_operator
from tests.browser.receiver import Receiver
from tests.copies import Copy
from tests.stripe_server import Stand

pytestmark = needs_chromium
OWNER, VIEWER = "anna@acme.example", "vera@acme.example"


def test_a_company_serves_itself(house: Copy, browser: Any, stripe: Stand, receiver: Receiver) -> None:
    with window(browser) as page:
        anna = Person(house, page, OWNER)
        anna.signs_up("Acme Payments")
        key = anna.makes_the_first_key()
        anna.makes_the_first_call_and_sees_it_arrive()
        anna.finds_and_reads_the_decision()
        anna.changes_the_policy_and_feels_it(key)
        anna.sets_a_budget()
        anna.enters_a_card(stripe)
        anna.upgrades()
        anna.reads_the_first_invoice("acme-payments")
        anna.tests_a_webhook_and_has_it_replayed(receiver)
        link = anna.invites(VIEWER)
        with window(browser) as other:
            Person(house, other, VIEWER).joins_and_can_only_look(link)
        anna.adds_a_second_factor_and_logs_in_with_it()
        anna.adds_a_second_company_and_comes_back("Acme Lending", "Acme Payments")
        with window(browser) as desk:
            operator_suspends(house, desk, "acme-payments")
        assert anna.calls(key)["code"] == "tenant_suspended"
        page.goto(house.portal)
        assert "suspended" in page.get_by_role("alert").inner_text()


def operator_suspends(house: Copy, page: Any, slug: str) -> None:
    """With a reason."""
    as_the_operator(house, page)
    page.goto(f"{house.portal}/admin/accounts/tenant/?q={slug}")
    page.get_by_role("link", name=slug, exact=True).click()
    page.get_by_role("link", name="Suspend").first.click()
    page.get_by_label("Reason").fill("Unpaid, and a test of the switch")
    page.get_by_role("button", name="Suspend").click()
    page.get_by_text("Suspended:").first.wait_for()
