"""Nothing that can be done with a row has to be looked for: on a telephone and on a laptop it is within the picture."""

from typing import Any

import pytest

from tests.browser.chromium import needs_chromium, window
from tests.browser.places import addresses, as_the_demo, deeper, menu, opened
from tests.copies import Copy

pytestmark = needs_chromium
#: The controls of tables that reach out of their frame or of the window, by what they say.
OUT_OF_SIGHT = """() => [...document.querySelectorAll("main table :is(button, select, [role=button], summary)")]
  .filter((one) => one.checkVisibility())
  .filter((one) => {
    const at = one.getBoundingClientRect(), frame = (one.closest(".scroll") ?? document.body).getBoundingClientRect();
    return at.left < frame.left - 1 || at.right > Math.min(frame.right, innerWidth) + 1;
  }).map((one) => one.textContent.trim())"""


@pytest.mark.parametrize("width", [375, 1280])
def test_what_can_be_done_with_a_row_is_in_sight(house: Copy, browser: Any, width: int) -> None:
    with window(browser) as page:
        as_the_demo(house, page)
        places = [*addresses(house, menu()), *deeper(house, page)]
        page.set_viewport_size({"width": width, "height": 900})
        hidden = {}
        for name, address in places:
            opened(page, address)
            if found := page.evaluate(OUT_OF_SIGHT):
                hidden[name] = found
        assert hidden == {}
