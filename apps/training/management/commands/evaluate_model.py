"""`manage.py evaluate_model SCHEMA --data FILE… [--history FILE…] [--json]`: what a model is worth on a file."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.scoring.engine import shelf
from apps.scoring.engine.models import LoadedModel, ModelRefused, active
from apps.scoring.engine.schemas import SCHEMAS

ENSEMBLE = "ensemble"


class Command(BaseCommand):
    help = "Measure a model on labelled CSV or Parquet files (a `weight` column is respected)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("schema", choices=sorted(SCHEMAS))
        parser.add_argument("--data", nargs="+", type=Path, required=True, metavar="FILE")
        parser.add_argument("--history", nargs="+", type=Path, metavar="FILE", help="an earlier log to replay first")
        parser.add_argument(
            "--model", metavar="NAME", help="a model's name, name@version, or 'ensemble'; the champion by default"
        )
        parser.add_argument("--artifacts", type=Path, default=settings.ARTIFACTS_DIR, metavar="DIR")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.training.data import UnusableData
        from apps.training.evaluate import evaluate

        try:
            models = _models(options["artifacts"], options["schema"], options["model"])
            report = evaluate(
                SCHEMAS[options["schema"]], models, options["data"], options["history"], self.stderr.write
            )
        except ModelRefused as refused:
            raise CommandError(f"The model is refused: {refused.reason}.") from refused
        except UnusableData as unusable:
            raise CommandError(str(unusable)) from unusable
        self.stdout.write(json.dumps(report) if options["json"] else _lines(report))


def _models(artifacts: Path, schema: str, wanted: str | None) -> list[LoadedModel]:
    """The one asked for, or all active ones for the ensemble. Raises `ModelRefused`."""
    entries = active(artifacts, schema) if wanted == ENSEMBLE else [shelf.find(artifacts, schema, wanted)]
    if not entries:
        raise ModelRefused(f"'{schema}' has no active models")
    return [shelf.loaded(artifacts, schema, entry) for entry in entries]


def _lines(report: dict[str, Any]) -> str:
    intervals = report["intervals_95"]
    return "\n".join(
        f"{name:20} {value}" + (f"  95 %: {intervals[name][0]} to {intervals[name][1]}" if intervals.get(name) else "")
        for name, value in report.items()
        if name != "intervals_95"
    )
