"""`manage.py models [--json]`: every model on the shelf: champion, active or not, metrics, size, licence."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.scoring.engine import shelf
from apps.scoring.engine.models import active
from apps.scoring.engine.schemas import SCHEMAS

SHOWN = ("auc_roc", "average_precision", "recall_at_1pct_fpr", "calibration_error")


class Command(BaseCommand):
    help = "List the models of every schema."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--artifacts", type=Path, default=settings.ARTIFACTS_DIR, metavar="DIR")
        parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        listed = {schema: _listed(options["artifacts"], schema) for schema in sorted(SCHEMAS)}
        if options["json"]:
            self.stdout.write(json.dumps(listed))
            return
        for schema, models in listed.items():
            self.stdout.write(f"{schema}: {models[0]['licence']}" if models else f"{schema}: no models")
            for model in models:
                self.stdout.write(_line(model))


def _listed(root: Path, schema: str) -> list[dict[str, Any]]:
    """The champion first, then the other active ones, then the rest."""
    named = list(active(root, schema))
    entries = [*named, *(entry for entry in shelf.versions(root, schema) if entry not in named)]
    kept = set(shelf.versions(root, schema))
    return [_described(root, schema, entry, named) for entry in entries if entry in kept]


def _described(root: Path, schema: str, entry: str, named: list[str]) -> dict[str, Any]:
    card = shelf.card(root, schema, entry)
    return {
        "name": card["name"],
        "version": card["version"],
        "status": "champion" if named[:1] == [entry] else "active" if entry in named else "inactive",
        "metrics": {name: card["quality"]["out_of_time"]["metrics"].get(name) for name in SHOWN},
        "bytes": shelf.size(root, schema, entry),
        "licence": card["data"]["licence"],
        "research_only": card.get("research_only", False),
    }


def _line(model: dict[str, Any]) -> str:
    metrics = "  ".join(f"{name} {value}" for name, value in model["metrics"].items())
    return f"  {model['status']:9} {model['name']}@{model['version']}  {metrics}  {model['bytes'] / 1e6:.2f} MB"
