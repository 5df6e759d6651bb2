"""What a first page load costs: bytes over the wire, and when its largest part is painted on a slow machine."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.chromium import needs_chromium, window
from tests.browser.places import INNER, as_the_demo, menu
from tests.copies import Copy
from tests.pace import within

pytestmark = needs_chromium
MOST_BYTES = 150_000
#: Milliseconds, with a processor slowed down to a quarter, on the machine this was written on.
MOST_MS = 1_000
SLOWED = 4
LOADS = 3
OUTSIDE = ("/", "/account/login/", "/account/signup/", "/status")
INSIDE = [place.path for place in (*menu(), *INNER)]
LARGEST_PAINT = """() => new Promise(done => new PerformanceObserver(
    list => done(list.getEntries().at(-1).startTime)).observe({type: 'largest-contentful-paint', buffered: true}))"""


@pytest.mark.parametrize("path", OUTSIDE)
def test_first_page_is_light_and_soon_there(house: Copy, browser: Any, path: str) -> None:
    with window(browser) as page:
        hold(page, house.portal + path)


@pytest.fixture(scope="module")
def demo(house: Copy, browser: Any) -> Iterator[Any]:
    """A window of somebody in a company with some weeks of history."""
    with window(browser) as page:
        as_the_demo(house, page)
        yield page


@pytest.mark.parametrize("path", INSIDE)
def test_pages_of_a_company_are_light_and_soon_there(house: Copy, demo: Any, path: str) -> None:
    hold(demo, house.portal + path)


def hold(page: Any, address: str) -> None:
    """Load it as if for the first time, slowly; once more where it was late, for the machine may have been busy."""
    for _ in range(LOADS):
        weight, painted = loaded(page, address)
        assert weight <= MOST_BYTES, address
        if painted <= within(MOST_MS):
            return
    pytest.fail(f"{address}: {LOADS} times later than {within(MOST_MS):.0f} ms, at last after {painted:.0f}")


def loaded(page: Any, address: str) -> tuple[float, float]:
    """Bytes over the wire, and milliseconds until the largest part was painted."""
    protocol, came = page.context.new_cdp_session(page), list[float]()
    protocol.send("Network.enable")
    protocol.send("Network.clearBrowserCache")
    protocol.send("Emulation.setCPUThrottlingRate", {"rate": SLOWED})
    protocol.on("Network.loadingFinished", lambda told: came.append(told["encodedDataLength"]))
    page.goto(address, wait_until="networkidle")
    painted = page.evaluate(LARGEST_PAINT)
    protocol.detach()
    print(f"{address}: {sum(came):,.0f} bytes in {len(came)} answers, largest paint after {painted:.0f} ms")
    return sum(came), painted
