"""Somebody before a browser, who does what people do with nothing but the pages."""

import json
import re
import subprocess
import time
from dataclasses import dataclass
from typing import Any

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from tests.browser.receiver import Receiver
from tests.copies import Copy, until
from tests.pace import within
from tests.stripe_server import Stand
from tests.stripe_server.server import post_to

EMAIL = re.compile("e-?mail", re.IGNORECASE)
PASSWORD = "a long way to Samarkand"


@dataclass
class Person:
    """Somebody before a browser."""

    house: Copy
    page: Any
    email: str

    def opens(self, name: str) -> None:
        """Choose a line of the menu."""
        self.page.get_by_role("navigation", name="Main").get_by_role("link", name=name, exact=True).click()

    def presses(self, name: str) -> None:
        self.page.get_by_role("main").get_by_role("button", name=name, exact=True).click()

    def follows(self, words: str) -> None:
        """Choose a link on the page, whatever it looks like."""
        self.page.get_by_role("main").locator("a", has_text=words).first.click()

    def sees(self, words: str) -> None:
        self.page.get_by_text(words).first.wait_for()

    def signs_up(self, company: str, start: str = "/") -> None:
        self.page.goto(self.house.portal + start)
        if start == "/":
            self.follows("Start free")
        self.fills_the_sign_up_form(company)
        self.follows("Read what it would have sent")
        self.follows_the_mailed_link("/account/confirm-email/")

    def fills_the_sign_up_form(self, company: str = "") -> None:
        """`company`: none where one was invited to."""
        if company:
            self.page.get_by_label("Company").fill(company)
        self.page.get_by_label(EMAIL).fill(self.email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.presses("Create account")

    def follows_the_mailed_link(self, path: str) -> None:
        """The one in the newest mail to this person."""
        mail = self.page.locator("article", has_text=self.email).first
        mail.locator(f"a[href*='{path}']").click()

    def makes_the_first_key(self) -> str:
        self.page.get_by_role("heading", name="First steps").wait_for()
        self.presses("Make a test key")
        return str(self.page.locator("#new-key").inner_text())

    def makes_the_first_call_and_sees_it_arrive(self) -> None:
        """The page's own line, given to a shell as it stands; the page stays where it is."""
        self.sees("Waiting for your first call")
        line = self.page.locator("#text-curl").inner_text()
        said = subprocess.run(line, shell=True, capture_output=True, check=True, timeout=within(30))  # noqa: S602
        assert "fraud_probability" in json.loads(said.stdout), said
        self.sees("Your first call has arrived.")

    def finds_and_reads_the_decision(self) -> None:
        self.opens("Decisions")
        self.page.get_by_role("searchbox").first.fill("first-call")
        self.page.get_by_role("searchbox").first.press("Enter")
        self.page.get_by_role("link", name="first-call", exact=True).click()
        self.page.get_by_role("heading", name="Why").wait_for()
        self.sees("249.9")

    def changes_the_policy_and_feels_it(self, key: str) -> None:
        before = self.calls(key)["recommended_action"]
        self.opens("Policy")
        for label in ("Review from", "Block from"):
            self.page.get_by_label(label).first.fill("0.0001")
        self.page.get_by_role("button", name=re.compile("^Publish")).first.click()
        self.sees("Version 1 is published")
        after = self.calls(key)["recommended_action"]
        assert (before, after) == ("approve", "block")

    def calls(self, key: str) -> dict[str, Any]:
        """A call that looks harmless; what came back."""
        facts = {"user_id": "u-1", "merchant_id": "m-1", "amount": 9.5, "currency": "EUR"}
        said = subprocess.run(
            ["curl", "-s", f"{self.house.api}/v1/decisions", "-H", f"Authorization: Bearer {key}",
             "-H", "Content-Type: application/json",
             "-d", json.dumps({"schema": "payments", "transaction": facts, "dry_run": True})],
            capture_output=True, check=True, timeout=within(30),
        )  # fmt: skip
        return dict(json.loads(said.stdout))

    def sets_a_budget(self) -> None:
        self.opens("Usage and cost")
        self.page.get_by_label("Spend cap a month").fill("500")
        self.page.get_by_label("Tell us at").fill("50, 90, 100")
        self.presses("Save")
        self.sees("The budget is changed")
        assert self.page.get_by_label("Spend cap a month").input_value().startswith("500")

    def enters_a_card(self, stripe: Stand) -> None:
        """At the provider's page, which leads back; what it did, its webhooks tell."""
        self.opens("Plan")
        self.presses("Add a card")
        self.follows("To the payment page")
        self.page.wait_for_url("**/plan/**")
        assert set(stripe.deliver(post_to(f"{self.house.api}/stripe/webhook"))) == {200}
        self.reloads_until("4242")

    def reloads_until(self, words: str) -> None:
        def shown() -> bool:
            self.page.reload()
            return words in self.page.get_by_role("main").inner_text()

        assert until(shown, 15), self.page.get_by_role("main").inner_text()

    def upgrades(self) -> None:
        self.follows("Change to Basic")
        self.sees("What it comes to")
        self.presses("Change to Basic")
        self.sees("You are on Basic from now on.")

    def reads_the_first_invoice(self, slug: str) -> None:
        """After its month: the tenant's own clock is walked on, as docs/billing.md has it."""
        self.house.manage("billing_clock", "--tenant", slug, "--advance", "32d")
        self.opens("Invoices")
        link = self.page.get_by_role("link", name="PDF").first
        paper = self.page.request.get(self.house.portal + link.get_attribute("href"))
        assert paper.headers["content-type"] == "application/pdf"
        assert paper.body().startswith(b"%PDF")

    def tests_a_webhook_and_has_it_replayed(self, receiver: Receiver) -> None:
        self.opens("Webhooks")
        self.page.get_by_role("textbox", name="Address").fill(receiver.url)
        self.presses("Create")
        secret = self.page.locator("#new-secret").inner_text()
        self.follows("To the webhook")
        self.presses("Send a test")
        assert until(lambda: len(receiver.came) == 1, 15), receiver.came
        self.reloads_until("delivered")
        self.presses("Send again")
        assert until(lambda: len(receiver.came) == 2, 15), receiver.came
        first, second = receiver.verified(secret)
        assert first == second  # by which a receiver knows that it has had it

    def invites(self, email: str) -> str:
        """Somebody to look; the link that was mailed to them."""
        self.opens("Team")
        invitation = self.page.locator("section", has_text="Invite somebody")
        invitation.get_by_label(EMAIL).fill(email)
        invitation.get_by_label("Role", exact=True).select_option("viewer")
        self.presses("Send the invitation")
        self.sees(f"{email} is invited")
        self.page.goto(f"{self.house.portal}/mailbox/")
        mail = self.page.locator("article", has_text=email).first
        link = str(mail.locator("a[href*='/invited/']").get_attribute("href"))
        self.page.goto(f"{self.house.portal}/dashboard/")
        return link

    def joins_and_can_only_look(self, link: str) -> None:
        self.page.goto(link)
        self.fills_the_sign_up_form()
        self.follows("Read what it would have sent")
        self.follows_the_mailed_link("/account/confirm-email/")
        self.opens("API keys")
        self.sees("First steps")
        assert self.page.get_by_role("button", name="Make the key").count() == 0
        assert self.page.get_by_role("button", name="Revoke").count() == 0

    def adds_a_second_factor_and_logs_in_with_it(self) -> None:
        self.page.goto(f"{self.house.portal}/account/2fa/totp/activate/")
        self.gives_the_password_again()
        secret = self.page.get_by_label("Authenticator secret").input_value()
        self.page.get_by_label("Authenticator code").fill(code_of(secret))
        self.presses("Activate")
        self.page.wait_for_url("**/account/2fa/**")
        self.logs_out()
        self.logs_in()
        self.page.get_by_label("Code").fill(code_of(secret))
        self.page.get_by_label("Code").press("Enter")
        self.page.get_by_role("navigation", name="Main").wait_for()

    def gives_the_password_again(self) -> None:
        """Asked for before what is sensitive, when the last time is a while ago: after sign-up, never."""
        self.page.get_by_label("Password").fill(PASSWORD)
        self.presses("Confirm")

    def logs_out(self) -> None:
        self.page.get_by_label("Your account").click()
        self.page.get_by_role("button", name="Log out").click()

    def logs_in(self) -> None:
        self.page.goto(f"{self.house.portal}/account/login/")
        self.page.get_by_label(EMAIL).fill(self.email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.presses("Log in")

    def adds_a_second_company_and_comes_back(self, second: str, first: str) -> None:
        switcher = self.page.locator(".bar details", has_text=first)
        switcher.locator("summary").click()
        switcher.get_by_role("link", name="Add a company").click()
        self.page.get_by_label("Company").fill(second)
        self.presses("Add it")
        self.opens("Decisions")
        self.sees("No test decisions yet")
        switcher = self.page.locator(".bar details", has_text=second)
        switcher.locator("summary").click()
        switcher.get_by_role("button", name=re.compile(f"^{first}")).click()
        self.opens("Decisions")
        self.sees("first-call")


def code_of(secret: str) -> str:
    """What an authenticator app shows now."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))
