"""E-mail through a real SMTP server; every kind that is mailed has its words."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import override_settings
from django.utils import timezone

from apps.billing.invoicing.invoices import draft_invoice, issue
from apps.billing.models import Subscription
from apps.notifications import mail
from apps.notifications.kinds import KINDS
from apps.notifications.models import Attempt, Delivery
from apps.notifications.services import notify
from config.local.embedded import CHECKOUT
from tests.cast import Cast
from tests.notifications.conftest import Mailbox

pytestmark = pytest.mark.django_db(transaction=True)
Deliver = Callable[..., int]
MAILED = [name for name, kind in KINDS.items() if kind.mailed]


def tell(cast: Cast, *to: str) -> None:
    data = {"plan": "professional"}
    notify(
        tenant=cast.alice.tenant,
        kind="subscription.restored",
        data=data,
        key="paid",
        now=timezone.now(),
        to=to or None,
    )


def test_owner_is_told_by_smtp(cast: Cast, owner: str, mailbox: Mailbox, deliver: Deliver) -> None:
    tell(cast)
    assert deliver() == 1
    (message,) = mailbox.messages
    assert (message["To"], message["Subject"]) == (owner, "Everything works again")
    assert message["Message-ID"] == f"<{Delivery.objects.get().pk}@localhost>"
    text, page = message.get_body(("plain",)), message.get_body(("html",))
    assert "Alice & Co." in str(text)
    assert "Alice &amp; Co." in str(page)
    assert Delivery.objects.get().state == "delivered"


@pytest.mark.parametrize(("code", "state"), [("550 no such user", "dead"), ("451 later", "waiting")])
def test_refused_recipient_is_given_up_when_it_is_for_good(
    cast: Cast, mailbox: Mailbox, deliver: Deliver, code: str, state: str
) -> None:
    mailbox.refused["nobody@example.com"] = code
    tell(cast, "nobody@example.com", "somebody@example.com")
    assert deliver() == 2
    assert [message["To"] for message in mailbox.messages] == ["somebody@example.com"]
    assert Delivery.objects.get(recipient="nobody@example.com").state == state
    assert Attempt.objects.get(delivered=False).status == int(code[:3])


def test_mail_waits_while_the_server_is_away(cast: Cast, deliver: Deliver) -> None:
    tell(cast, "a@example.com")
    smtp = {"EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend", "EMAIL_HOST": "127.0.0.1"}
    with override_settings(**smtp, EMAIL_PORT=1):
        deliver()
    assert Delivery.objects.get().state == "waiting"
    assert "ConnectionRefusedError" in Attempt.objects.get().answer


#: A field of an event: how it stands there, and how a mail says it. What is no field here is said as it is.
AS_SAID = {
    "plan": ("professional", "Professional"),
    "before": ("basic-2026-11", "Basic"),
    "total": ("12345.60", "12,345.60"),
    "amount": ("12345.60", "12,345.60"),
    "amount_due": ("1345.60", "1,345.60"),
    "tax": ("1234.56", "1,234.56"),
    "used": ("2500", "2,500 of 1,000 units"),
    "limit": ("1000", "That is 250 %"),
    "unit": ("units", "units"),
    "threshold": (80, "80 %"),
    "period": ("2026-12", "December 2026"),
    "due_at": ("2026-12-15T00:00:00+00:00", "15 December 2026"),
    "at": ("2026-12-15T10:30:00Z", "15 December 2026, 10:30 UTC"),
    "ends_at": ("2026-12-15T10:30:00.123Z", "15 December 2026, 10:30 UTC"),
    "next_try_at": ("2026-12-15T10:30:00Z", "15 December 2026, 10:30 UTC"),
    "next_step_at": ("2026-12-22T00:00:00+00:00", "22 December 2026"),
    "next_step": ("limited", "calls are limited"),
    "overdue_days": (3, "3 days overdue"),
    "severity": ("warning", "Warning"),
    "rule": ({"id": "alr_1", "kind": "volume_drop", "name": "Nights"}, "“Nights”"),
    "count": (3, "2 more"),
    "alerts": ([{"id": "alt_1", "title": "t", "severity": "info", "occurrences": 2, "opened_at": "now"}], "alt_1"),
    "after_minutes": (30, "30 minutes"),
    "ended_limits": ({"included": 70_000, "rate_per_minute": 900}, "70,000 included units a month and 900 requests"),
}


@pytest.mark.parametrize("kind", MAILED)
def test_every_mailed_kind_says_all_its_fields_as_people_write_them(kind: str) -> None:
    said = {name: AS_SAID.get(name, (f"<{name}>", f"<{name}>")) for name in KINDS[kind].fields}
    subject, text = mail.render(kind, {name: value for name, (value, _) in said.items()} | {"tenant": "Alice & Co."})
    assert 10 < len(subject) < 100
    assert "Alice & Co." in text
    unsaid = [name for name, (_, words) in said.items() if words not in subject + text]
    assert set(unsaid) <= {"invoice", "budget"}


def test_what_was_not_agreed_is_not_said_to_have_ended() -> None:
    facts = {"plan": "basic", "at": "2026-12-15T10:30:00Z", "tenant": "x"}
    assert "agreed" not in mail.render("subscription.cancelled", facts | {"ended_limits": None})[1]
    one = mail.render("subscription.cancelled", facts | {"ended_limits": {"included": 0}})[1]
    assert "agreed with you: 0 included units a month.\n" in one


def test_an_issued_invoice_is_mailed_with_its_pdf_and_how_to_pay_it(
    cast: Cast, mailbox: Mailbox, deliver: Deliver
) -> None:
    now = datetime(2026, 12, 1, tzinfo=UTC)
    Subscription.objects.filter(tenant=cast.bob.tenant).update(billing_email="books@example.com")
    said = {"tenant": cast.bob.tenant, "description": "Training", "amount": Decimal(99)}
    draft = draft_invoice(start=now, end=now + timedelta(days=1), now=now, **said)  # type: ignore[arg-type]
    issue([draft], now)
    assert deliver() == 1
    (message,) = mailbox.messages
    text, (pdf,) = str(message.get_body(("plain",))), message.iter_attachments()
    assert (message["To"], pdf.get_filename()) == ("books@example.com", f"palisade-{draft.number}.pdf")
    assert pdf.get_payload(decode=True)[:5] == b"%PDF-"
    for words in ("99.00 USD, due on 15 December 2026", f"with the reference {draft.number} to:", "Example Bank"):
        assert words in text
    assert f"http://127.0.0.1:8000/v1/invoices/{draft.public_id}" in text


def test_a_mail_goes_without_what_could_not_be_attached(
    cast: Cast, mailbox: Mailbox, deliver: Deliver, caplog: pytest.LogCaptureFixture
) -> None:
    data = dict.fromkeys(KINDS["invoice.issued"].fields, "in_nowhere")
    notify(
        tenant=cast.alice.tenant, kind="invoice.issued", data=data, key="x", now=timezone.now(), to=["a@example.com"]
    )
    assert deliver() == 1
    assert not list(mailbox.messages[0].iter_attachments())
    assert "nothing is attached to a mail of invoice.issued" in caplog.text


def test_no_template_is_left_without_a_kind() -> None:
    files = {path.stem for path in (CHECKOUT / "templates" / "notifications").glob("*.txt")}
    assert files == {name for name, kind in KINDS.items() if kind.mailed or kind.chatted}


def test_subject_stays_one_line() -> None:
    facts = dict.fromkeys(KINDS["payment.failed"].fields, "a\r\nBcc: x@example.com")
    assert "\n" not in mail.render("payment.failed", facts | {"tenant": "x"})[0]
