"""Attachments of e-mails, by kind. This app knows no invoices: whoever does says how (config/apps.py)."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attachment:
    name: str
    content: bytes
    mimetype: str


Make = Callable[[Mapping[str, Any]], Attachment | None]

_MAKERS: dict[str, Make] = {}
#: Mails are sent from several threads, and what draws a page for a PDF may only draw one at a time.
_ONE_AT_A_TIME = Lock()


def attach(kind: str, make: Make) -> None:
    """To every e-mail of this kind what `make` makes of the event's data; None: it goes without."""
    _MAKERS[kind] = make


def attachment_of(kind: str, data: Mapping[str, Any]) -> Attachment | None:
    """What could not be made is logged, and the mail goes without it: the words matter more, and others wait too."""
    make = _MAKERS.get(kind)
    try:
        with _ONE_AT_A_TIME:
            return make(data) if make is not None else None
    except Exception:
        log.exception("nothing is attached to a mail of %s", kind)
        return None
