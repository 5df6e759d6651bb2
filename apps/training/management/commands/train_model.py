"""`manage.py train_model SCHEMA [--model NAME…] --data FILE…`: train a schema's models and make them active."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.scoring.engine.schemas import SCHEMAS


class Command(BaseCommand):
    help = "Train a schema's models on labelled CSV or Parquet files and make them active."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("schema", choices=sorted(SCHEMAS))
        parser.add_argument("--data", nargs="+", type=Path, default=[], metavar="FILE")
        parser.add_argument(
            "--model", nargs="+", default=[], metavar="NAME", help="only these; the others stay active as they are"
        )
        parser.add_argument("--out", type=Path, default=settings.ARTIFACTS_DIR, metavar="DIR")
        parser.add_argument("--model-version", default=None, help="the artifacts' version, like 2026.11.1")

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.training.card import TooLarge
        from apps.training.checks import NotProved
        from apps.training.data import UnusableData
        from apps.training.recipes import RECIPES
        from apps.training.train import VERSION, train

        schema, models = options["schema"], options["model"]
        unknown = [name for name in models if name not in RECIPES[schema].plans]
        if unknown:
            raise CommandError(f"'{schema}' has no model '{unknown[0]}'; it has: {', '.join(RECIPES[schema].plans)}.")
        version = options["model_version"] or VERSION
        say = self.stdout.write
        try:
            train(SCHEMAS[schema], options["data"], options["out"], models=models, say=say, version=version)
        except (UnusableData, NotProved, TooLarge) as problem:
            raise CommandError(str(problem)) from problem
