"""`manage.py evaluate_model paysim --data FILE [--history FILE] [--json]`: what the active model is worth on a file."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.scoring.engine.models import LoadedModel, ModelRefused, load_active
from apps.scoring.engine.schemas import SCHEMAS


class Command(BaseCommand):
    help = "Measure a model on a labelled CSV or Parquet file (a `weight` column is respected)."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("schema", choices=sorted(SCHEMAS))
        parser.add_argument("--data", nargs="+", type=Path, required=True, metavar="FILE")
        parser.add_argument("--history", nargs="+", type=Path, metavar="FILE", help="an earlier log to replay first")
        parser.add_argument("--model", default=None, help="the active model's name; the champion by default")
        parser.add_argument("--artifacts", type=Path, default=settings.ARTIFACTS_DIR, metavar="DIR")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.scoring.training.data import UnusableData
        from apps.scoring.training.evaluate import evaluate

        model = _model(options["artifacts"], options["schema"], options["model"])
        try:
            report = evaluate(SCHEMAS[options["schema"]], model, options["data"], options["history"])
        except UnusableData as unusable:
            raise CommandError(str(unusable)) from unusable
        self.stdout.write(json.dumps(report) if options["json"] else _lines(report))


def _model(artifacts: Path, schema: str, name: str | None) -> LoadedModel:
    available = load_active(artifacts, schema)
    found = available.get(name or next(iter(available), ""))
    if isinstance(found, ModelRefused):
        raise CommandError(f"The model is refused: {found.reason}.")
    if found is None:
        raise CommandError(f"No such active model for '{schema}'. Active models: {', '.join(available) or 'none'}.")
    return found


def _lines(report: dict[str, Any]) -> str:
    intervals = report["intervals_95"]
    return "\n".join(
        f"{name:20} {value}" + (f"  95 %: {intervals[name][0]} to {intervals[name][1]}" if name in intervals else "")
        for name, value in report.items()
        if name != "intervals_95"
    )
