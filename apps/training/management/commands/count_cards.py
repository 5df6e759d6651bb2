"""`manage.py count_cards --data FILE...`: how common kinds of card and regions are, which ieee_cis's features read."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Count ieee_cis's kinds of card and regions in files; write the table. Train the models again afterwards."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.scoring.engine.schemas import SCHEMAS, card_counts
        from apps.training import data
        from apps.training.recipes.ieee_cis import keys_of

        schema = SCHEMAS["ieee_cis"]
        try:
            rows = data.read(schema, options["data"])
        except data.UnusableData as problem:
            raise CommandError(str(problem)) from problem
        counts = card_counts.counts_of(keys_of(schema, rows))
        card_counts.write(counts)
        for name, counted in counts.items():
            self.stdout.write(f"{name}: {len(counted):,} are known, of {sum(counted.values()):,.0f} payments")
