"""`manage.py deliver`: the process that sends the outbox's deliveries. Stops within seconds on SIGTERM or SIGINT."""

import os
import signal
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.notifications.courier import Courier

#: The system's resolver can't be interrupted, so it gets an end of its own: a name server, asked twice, 2 s each.
RESOLVER = "timeout:2 attempts:2"


class Command(BaseCommand):
    """Empty the outbox until stopped."""

    help = "Send e-mail and webhooks from the outbox, for ever; any number of these may run."

    def handle(self, *args: Any, **options: Any) -> None:
        os.environ.setdefault("RES_OPTIONS", RESOLVER)
        stopped: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _frame: stopped.append(received))
        Courier(timezone.now).run(lambda: bool(stopped))
