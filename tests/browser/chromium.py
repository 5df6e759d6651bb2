"""Debian's Chromium, driven by Playwright: windows that may not complain, and reach nobody but this machine."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.pace import within

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
]  # fmt: skip
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine (apt-get install --no-install-recommends chromium)"
)


@contextmanager
def started() -> Iterator[Any]:
    """A browser. Its library runs a loop of its own in this thread, under which Django reaches no database."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


#: How an address ends that answers 404 and is opened to be looked at.
GONE = "/nothing/"


def complaint(message: Any) -> list[str]:
    """What the console shows as an error, but for the status of a page that is gone."""
    address = message.location["url"]
    return [f"{message.text} {address}"] if message.type == "error" and not address.endswith(GONE) else []


@contextmanager
def window(browser: Any, **options: Any) -> Iterator[Any]:
    """A page with cookies of its own that may not complain: of a policy, of a script, of what could not be loaded."""
    complaints = list[str]()
    context = browser.new_context(**options)
    context.set_default_timeout(within(15_000))
    page = context.new_page()
    page.on("console", lambda message: complaints.extend(complaint(message)))
    page.on("pageerror", lambda failure: complaints.append(str(failure)))
    yield page
    context.close()
    assert not complaints, complaints


@contextmanager
def looking() -> Iterator[Any]:
    """A browser with one such page."""
    with started() as browser, window(browser) as page:
        yield page
