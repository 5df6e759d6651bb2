"""`manage.py doctor`: what is wrong here, in words, and what to do. Ends with 1 when something is."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from apps.operations.doctor import Level, examine, worst
from apps.valkey import server

MARKS = {Level.FINE: "ok     ", Level.WARNING: "warning", Level.WRONG: "WRONG  "}


class Command(BaseCommand):
    """Look at everything and change nothing."""

    help = "Say what is wrong with this installation and what to do about it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--strict", action="store_true", help="end with 1 for warnings, too")

    def handle(self, *args: Any, strict: bool = False, **options: Any) -> None:
        findings = examine(server(settings.REDIS_URL, settings.REDIS_TIMEOUT), timezone.now())
        for finding in findings:
            self.stdout.write(f"{MARKS[finding.level]}  {finding.about}: {finding.says}")
            if finding.do:
                self.stdout.write(f"         → {finding.do}")
        if worst(findings) >= (Level.WARNING if strict else Level.WRONG):
            sys.exit(1)
