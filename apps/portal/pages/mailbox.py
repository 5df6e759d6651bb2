"""The mails that a copy without a mail server would have sent: for trying things out, in demo mode alone, on the very
machine. Elsewhere, and so under every setting of production, there is no such page."""

from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.portal import demo

MOST = 20


class Mail(NamedTuple):
    """A mail as the page shows it."""

    to: str
    subject: str
    date: str
    text: str


@require_safe
def mailbox(request: HttpRequest) -> HttpResponse:
    """The newest mails, told only to this very machine and only where mails become files."""
    if not demo.shows_mails(request):
        raise Http404
    newest = sorted(Path(settings.EMAIL_FILE_PATH).glob("*.log"), key=lambda file: file.stat().st_mtime, reverse=True)
    context = {"title": "Mails of this machine", "mails": [_read(file) for file in newest[:MOST]]}
    return render(request, "portal/pages/mailbox.html", context)


def _read(file: Path) -> Mail:
    """The first mail of a file of Django's file backend."""
    message = BytesParser(policy=policy.default).parsebytes(file.read_bytes())
    body = message.get_body(("plain",))
    text = body.get_content().partition("\n" + "-" * 79)[0].strip() if body else ""
    return Mail(str(message["To"]), str(message["Subject"]), str(message["Date"]), text)
