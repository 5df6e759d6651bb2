"""E-mail, by whatever EMAIL_BACKEND says (SMTP in earnest). A kind's template says the subject in its first line."""

import smtplib
import time
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from apps.notifications.attachments import Attachment
from apps.notifications.outcome import Outcome, printable


def render(kind: str, facts: Mapping[str, Any]) -> tuple[str, str]:
    """Subject and text of a kind's e-mail. `facts`: the event's data, and `tenant` by name."""
    subject, _, text = render_to_string(f"notifications/{kind}.txt", dict(facts)).partition("\n")
    return " ".join(subject.split()), text.strip() + "\n"


def send(
    delivery_id: str, recipient: str, kind: str, facts: Mapping[str, Any], attached: Attachment | None = None
) -> Outcome:
    """One try. The Message-ID is the delivery's, so that a mail sent twice can be known as one."""
    started = time.monotonic()
    subject, text = render(kind, {**facts, "api": settings.API_URL, "attached": attached})
    message = EmailMultiAlternatives(
        subject,
        text,
        settings.DEFAULT_FROM_EMAIL,
        [recipient],
        headers={"Message-ID": f"<{delivery_id}@{_domain()}>", "Auto-Submitted": "auto-generated"},
    )
    message.attach_alternative(
        render_to_string("notifications/mail.html", {"subject": subject, "text": text}), "text/html"
    )
    if attached is not None:
        message.attach(attached.name, attached.content, attached.mimetype)
    try:
        message.send()
    except (smtplib.SMTPException, OSError) as failure:
        return _failed(failure, started)
    return Outcome(delivered=True, duration_ms=_since(started))


def _failed(failure: Exception, started: float) -> Outcome:
    """5xx of the recipient or of the message is final; of us (a wrong password, a refused sender) it is not."""
    status, about_it = _status(failure)
    return Outcome(
        delivered=False,
        status=status,
        answer=printable(f"{type(failure).__name__}: {failure}"),
        final=about_it and status is not None and status >= 500,
        duration_ms=_since(started),
    )


def _status(failure: Exception) -> tuple[int | None, bool]:
    """SMTP's code, and whether it is about this recipient or message."""
    if isinstance(failure, smtplib.SMTPRecipientsRefused):
        return max(code for code, _ in failure.recipients.values()), True
    if isinstance(failure, smtplib.SMTPResponseException):
        return failure.smtp_code, isinstance(failure, smtplib.SMTPDataError)
    return None, False


def _domain() -> str:
    return str(settings.DEFAULT_FROM_EMAIL).rpartition("@")[2].strip(" >") or "localhost"


def _since(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
