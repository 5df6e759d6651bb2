"""`manage.py rolling_origins SCHEMA --data FILE… [--model NAME] [--origins N] [--into-card] [--json]`."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.scoring.engine import shelf
from apps.scoring.engine.models import ModelRefused
from apps.scoring.engine.schemas import SCHEMAS


class Command(BaseCommand):
    help = "Measure a model's recipe at several moments: fitted to each, a gap left out, the time after it measured."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("schema", choices=sorted(SCHEMAS))
        parser.add_argument("--data", nargs="+", type=Path, default=[], metavar="FILE")
        parser.add_argument("--model", default=None, metavar="NAME", help="a model of the recipe; the first by default")
        parser.add_argument("--origins", type=int, default=4, metavar="N")
        parser.add_argument("--into-card", action="store_true", help="write the figures into the model's card")
        parser.add_argument("--artifacts", type=Path, default=settings.ARTIFACTS_DIR, metavar="DIR")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.training.data import UnusableData
        from apps.training.recipes import RECIPES
        from apps.training.rolling import rolled

        schema, recipe = options["schema"], RECIPES[options["schema"]]
        model = options["model"] or next(iter(recipe.plans))
        if model not in recipe.plans:
            raise CommandError(f"'{schema}' has no model '{model}'; it has: {', '.join(recipe.plans)}.")
        if options["origins"] < 2:
            raise CommandError("--origins: at least 2.")
        try:
            found = rolled(SCHEMAS[schema], recipe, options["data"], model, options["origins"], self.stderr.write)
            if options["into_card"]:
                shelf.note(options["artifacts"], schema, model, "rolling_origins", found)
        except (UnusableData, ModelRefused) as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.write(json.dumps(found) if options["json"] else _lines(found))


def _lines(found: dict[str, Any]) -> str:
    return "\n".join(
        f"{name:20} {spread['mean']}  from {spread['least']} to {spread['most']}"
        for name, spread in found["spread"].items()
    )
