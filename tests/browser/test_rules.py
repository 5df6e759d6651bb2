"""The editor of a rule in Chromium: names are completed, what is wrong is said meanwhile, what is right is saved."""

from typing import Any

from tests.browser.chromium import needs_chromium, window
from tests.browser.places import as_the_demo
from tests.copies import Copy

pytestmark = needs_chromium


def test_names_are_completed_and_what_is_wrong_is_said(house: Copy, browser: Any) -> None:
    with window(browser) as page:
        as_the_demo(house, page)
        page.goto(f"{house.portal}/rules/new/")
        area = page.get_by_label("Condition", exact=True)
        area.press_sequentially("amou")
        page.locator("#completions [role=option]").first.wait_for()
        area.press("Enter")
        assert area.input_value() == "amount"
        area.press_sequentially(" > 5000 && contry == 'KE'")
        page.locator("#said .error", has_text="'contry' is no field").wait_for()
        area.fill("amount > 5000 && country == 'KE'")
        page.locator("#said .good").wait_for()
        page.get_by_label("Name", exact=True).fill("large_there")
        page.get_by_role("button", name="Save as a draft").click()
        page.get_by_role("heading", name="large_there").wait_for()
