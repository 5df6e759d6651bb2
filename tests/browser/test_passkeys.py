"""A passkey is added and logged in with, in Chromium with an authenticator of its own, under our policy for scripts."""

from typing import Any

from tests.browser.chromium import needs_chromium, window
from tests.browser.person import PASSWORD, Person
from tests.copies import Copy

pytestmark = needs_chromium
#: One built into the device, that knows its owner: as a telephone's or a laptop's.
BUILT_IN = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def test_a_passkey_takes_the_passwords_place(house: Copy, browser: Any) -> None:
    """The window may not complain, so no script is inline. A site has a name: browsers give an address no passkey."""
    portal = house.portal.replace("127.0.0.1", "localhost")
    with window(browser) as page:
        devices = page.context.new_cdp_session(page)
        devices.send("WebAuthn.enable")
        authenticator = devices.send("WebAuthn.addVirtualAuthenticator", {"options": BUILT_IN})["authenticatorId"]
        petra = Person(house, page, "petra@passkeys.example")
        page.goto(f"{portal}/account/signup/")
        petra.fills_the_sign_up_form("Passkeys Ltd")
        petra.follows("Read what it would have sent")
        petra.follows_the_mailed_link("/account/confirm-email/")
        page.goto(f"{portal}/security/")
        petra.follows("Add one")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("main").locator("button[type=submit]").first.click()
        page.get_by_label("Passwordless").check()
        petra.presses("Add")
        page.wait_for_url("**/recovery-codes/**")
        page.goto(f"{portal}/security/")
        page.get_by_role("link", name="Manage").wait_for()
        page.context.clear_cookies()
        page.goto(f"{portal}/account/login/")
        petra.presses("Log in with a passkey")
        page.wait_for_url("**/start/")
        [passkey] = devices.send("WebAuthn.getCredentials", {"authenticatorId": authenticator})["credentials"]
        assert (passkey["rpId"], passkey["signCount"]) == ("localhost", 2)  # made, and logged in with
        assert petra.email in page.locator(".person").inner_html()
