"""Telling those on call. Past the outbox, which stands in Postgres: what is to be told may be that it is away."""

import logging
import smtplib
from dataclasses import dataclass

from django.conf import settings
from django.core.mail import send_mail

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Page:
    """What is told, and what of: an incident's or a burn alert's rule."""

    about: str
    subject: str
    text: str


def send(page: Page) -> bool:
    """Send one by mail to PALISADE_ONCALL_EMAIL, and write it into the log; False when the mail could not be sent."""
    log.error("on call: %s. %s", page.subject, page.text)
    try:
        send_mail(page.subject, page.text, settings.DEFAULT_FROM_EMAIL, [settings.ONCALL_EMAIL])
    except (smtplib.SMTPException, OSError) as failure:
        log.error("those on call could not be told: %s", failure)
        return False
    return True
