"""`manage.py promote_model SCHEMA MODEL[@VERSION]`: make a model the champion; running servers notice by themselves."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.scoring.engine import shelf
from apps.scoring.engine.models import ModelRefused
from apps.scoring.engine.schemas import SCHEMAS


class Command(BaseCommand):
    help = "Make a model the champion of its schema, after checking its files and its example."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("schema", choices=sorted(SCHEMAS))
        parser.add_argument("model", help="name or name@version")
        parser.add_argument("--artifacts", type=Path, default=settings.ARTIFACTS_DIR, metavar="DIR")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            entry = shelf.promote(options["artifacts"], options["schema"], options["model"])
        except ModelRefused as refused:
            raise CommandError(f"Not promoted: {refused.reason}.") from refused
        self.stdout.write(f"{options['schema']}: {entry} is the champion")
