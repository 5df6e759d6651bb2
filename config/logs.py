"""The log's formatters: one for all handlers and processes, as text or as a JSON object a line. Neither shows a secret.

    {"time": "2026-11-29T20:00:00.000Z", "level": "ERROR", "logger": "apps.api.problems", "message": "…",
     "request_id": "req_…", "tenant": "acme", "key_id": 7, "process": 4711, "exception": "Traceback …"}

What is not known is left out: the recorder answers no request.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache

import msgspec
from msgspec import UNSET, UnsetType

from apps.log_context import ANSWERING
from apps.redaction import Redaction
from apps.times import rfc3339


class Entry(msgspec.Struct, frozen=True):
    """A line of the log."""

    time: str
    level: str
    logger: str
    message: str
    request_id: str | UnsetType
    tenant: str | UnsetType
    key_id: int | UnsetType
    process: int
    exception: str | UnsetType


class MaskedLine(logging.Formatter):
    """A line with its arguments and traceback, every secret in it hidden."""

    def format(self, record: logging.LogRecord) -> str:
        return redaction()(super().format(record))


class JsonLine(logging.Formatter):
    """The same as a JSON object, with whose request it was about."""

    def format(self, record: logging.LogRecord) -> str:
        hidden, answering = redaction(), ANSWERING.get()
        entry = Entry(
            time=rfc3339(datetime.fromtimestamp(record.created, UTC)),
            level=record.levelname,
            logger=record.name,
            message=hidden(record.getMessage()),
            request_id=hidden(answering.request_id) or UNSET,
            tenant=answering.tenant or UNSET,
            key_id=answering.key_id or UNSET,
            process=record.process or 0,
            exception=hidden("\n".join(self._told(record))) or UNSET,
        )
        return msgspec.json.encode(entry).decode()

    def _told(self, record: logging.LogRecord) -> Iterator[str]:
        if record.exc_info:
            yield self.formatException(record.exc_info)
        if record.stack_info:
            yield self.formatStack(record.stack_info)


@cache
def redaction() -> Redaction:
    """The process's own: it knows the settings' secrets by what they are."""
    return Redaction(_secrets())


def _secrets() -> Iterator[str]:
    from django.conf import settings  # the log is set up while the settings are read

    yield from (settings.SECRET_KEY, settings.KEY_PEPPER, settings.TOKEN_SECRET, settings.METRICS_TOKEN)
    yield from (settings.STRIPE_API_KEY, settings.STRIPE_WEBHOOK_SECRET, settings.EMAIL_HOST_PASSWORD or "")
    yield from (*settings.SEALING_KEYS, settings.BACKUP_KEY)
    yield str(settings.DATABASES["default"].get("PASSWORD") or "")
