"""`manage.py train_own_model FOLDER`: train what a folder asks for, in this process alone; a line of progress each."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Train a tenant's own model from a folder that was written for it (apps/own_models)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.scoring.engine.models import ModelRefused
        from apps.training.checks import NotProved
        from apps.training.data import UnusableData
        from apps.training.own.train import train

        def say(line: str) -> None:
            self.stdout.write(line)
            self.stdout.flush()

        try:
            train(options["folder"], say)
        except (UnusableData, NotProved, ModelRefused) as problem:
            raise CommandError(str(problem)) from problem
