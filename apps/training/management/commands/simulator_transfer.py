"""`manage.py simulator_transfer FOLDER`: what the simulator's model finds in public logs it never saw."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Hold the shipped model of card_activity against models trained on public logs told as card activity."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="where the training files are")

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.scoring.engine.models import LoadedModel, load_active
        from apps.training.transfer import measured

        champion = next(iter(load_active(settings.ARTIFACTS_DIR, "card_activity").values()), None)
        if not isinstance(champion, LoadedModel):
            raise CommandError(f"card_activity has no champion: {champion}")
        if not measured(champion, options["folder"], self.stdout.write):
            raise CommandError(f"No log was found in {options['folder']}.")
