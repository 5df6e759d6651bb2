"""`manage.py write_references SCHEMA [--data FILE…]`: what drift is told against, for models trained before."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.scoring.engine import shelf
from apps.scoring.engine.models import ModelRefused
from apps.scoring.engine.schemas import SCHEMAS


class Command(BaseCommand):
    help = "Write reference.json beside a schema's models, from the files they were trained on."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("schema", choices=sorted(SCHEMAS))
        parser.add_argument("--data", nargs="+", type=Path, default=[], metavar="FILE")
        parser.add_argument("--artifacts", type=Path, default=settings.ARTIFACTS_DIR, metavar="DIR")

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.training.data import UnusableData
        from apps.training.recipes import RECIPES
        from apps.training.reference import write_references
        from apps.training.train import prepare

        schema, root, say = SCHEMAS[options["schema"]], options["artifacts"], self.stdout.write
        try:
            prepared = prepare(schema, RECIPES[schema.name], options["data"], say)
            write_references(prepared, root, list(shelf.versions(root, schema.name)), say)
        except (UnusableData, ModelRefused) as problem:
            raise CommandError(str(problem)) from problem
