"""`manage.py probe`: the prober's process. Stops within a round's probe on SIGTERM or SIGINT."""

import signal
from typing import Any

from django.core.management.base import BaseCommand

from apps.sla.prober import Prober


class Command(BaseCommand):
    """Probe the service until stopped."""

    help = "Probe each part of the service every 30 seconds, for ever; open incidents, page, publish the status."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        stopped: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _frame: stopped.append(received))
        Prober().run(lambda: bool(stopped))
