"""Pictures of every page, empty and full, at both widths and in both themes, for a person to look at.

make test-browser PICTURES=folder ARGS="-k pictures"
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import needs_chromium, window
from tests.browser.places import (
    ACCOUNT,
    INNER,
    OUTSIDE,
    WIDGETS,
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

FOLDER = os.environ.get("PICTURES", "")
pytestmark = [needs_chromium, pytest.mark.skipif(not FOLDER, reason="no folder was named: PICTURES=folder")]
WIDTHS = {"wide": 1440, "narrow": 375}
THEMES = ("light", "dark")
TALLEST = 12_000  # pixels of a picture: of more Chromium makes none


def test_pictures_of_pages_for_everybody(house: Copy, browser: Any) -> None:
    with window(browser) as page:
        take(page, "outside", addresses(house, [*OUTSIDE, *WIDGETS]))


def test_pictures_of_a_company_with_history(house: Copy, browser: Any) -> None:
    with window(browser) as page:
        as_the_demo(house, page)
        take(page, "full", [*addresses(house, [*menu(), *ACCOUNT, *INNER]), *deeper(house, page)])
        take(page, "full", of_a_batch(house, page))
        take(page, "full", of_a_simulation(house, page))


def test_pictures_of_a_new_company(house: Copy, browser: Any) -> None:
    with window(browser) as page:
        as_somebody_new(house, page, "new@example.com")
        take(page, "empty", addresses(house, [*menu(), *INNER]))


def test_pictures_of_the_operators_pages(house: Copy, browser: Any) -> None:
    with window(browser) as page:
        as_the_operator(house, page)
        take(page, "operators", addresses(house, admin()))


def take(page: Any, what: str, places: Iterable[tuple[str, str]]) -> None:
    """One file a page, width and theme; nothing of a page may have to be pushed sideways."""
    sideways = []
    for name, address in places:
        opened(page, address)
        for size, width in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(300)  # charts are drawn anew
            for theme in THEMES:
                turned(page, theme)
                height = min(page.evaluate("document.documentElement.scrollHeight"), TALLEST)
                clip = {"x": 0, "y": 0, "width": width, "height": height}
                page.screenshot(path=Path(FOLDER) / f"{what}-{name}-{size}-{theme}.png", full_page=True, clip=clip)
            if page.evaluate("document.documentElement.scrollWidth") > width:
                sideways.append(f"{name} at {width}")
    assert sideways == []
