"""`manage.py record`: the recorder's process. Stops after the batch in hand on SIGTERM or SIGINT."""

import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.api_keys.services import get_gate
from apps.scoring.recording.recorder import Recorder
from apps.usage.metering.journal import Journal
from apps.valkey import server


class Command(BaseCommand):
    """Drain the journal into Postgres until stopped."""

    help = "Record journaled decisions and usage in Postgres, for ever."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        stopped: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _frame: stopped.append(received))
        journal = Journal(server(settings.REDIS_URL, max(settings.REDIS_TIMEOUT, 5.0)))
        Recorder(journal, get_gate()).run(lambda: bool(stopped))
