"""`manage.py train_model paysim --data FILE...`: train a schema's model and make it active."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.scoring.engine.schemas import SCHEMAS

TRAINABLE = ("paysim",)


class Command(BaseCommand):
    help = "Train a schema's model on labelled CSV or Parquet files and make it active."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("schema", choices=TRAINABLE)
        parser.add_argument("--data", nargs="+", type=Path, required=True, metavar="FILE")
        parser.add_argument("--out", type=Path, default=settings.ARTIFACTS_DIR, metavar="DIR")
        parser.add_argument("--model-version", default=None, help="the artifact's version, like 2026.11.1")

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.scoring.training.data import UnusableData
        from apps.scoring.training.train import VERSION, train

        version = options["model_version"] or VERSION
        try:
            train(SCHEMAS[options["schema"]], options["data"], options["out"], self.stdout.write, version)
        except UnusableData as unusable:
            raise CommandError(str(unusable)) from unusable
