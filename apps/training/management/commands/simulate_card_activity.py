"""`manage.py simulate_card_activity --out FILE [--users N] [--days N] [--seed N]`: what card_activity learns from."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

PARQUET = (".parquet", ".pq")
FORMATS = (*PARQUET, ".csv")


class Command(BaseCommand):
    help = "Write simulated, labelled card activity as CSV or Parquet. The same seed writes the same rows."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--out", type=Path, required=True, metavar="FILE")
        parser.add_argument("--users", type=int, default=3000)
        parser.add_argument("--days", type=int, default=90)
        parser.add_argument("--seed", type=int, default=7)

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.training.behaviour import card_activity as simulate

        out: Path = options["out"]
        if out.suffix.lower() not in FORMATS:
            raise CommandError(f"--out: end the name with one of {', '.join(FORMATS)}.")
        if min(options["users"], options["days"]) < 1 or options["seed"] < 0:
            raise CommandError("--users and --days: at least 1; --seed: at least 0.")
        rows = simulate(options["users"], options["days"], options["seed"])
        rows.to_parquet(out, index=False) if out.suffix.lower() in PARQUET else rows.to_csv(out, index=False)
        self.stdout.write(f"{out}: {len(rows):,} rows, {rows['is_fraud'].sum():,} of them frauds")
