"""`manage.py sla_recompute STATEMENT.json`: compute a statement again from its own facts. Needs no database."""

from argparse import FileType
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.sla.statement import Statement, recomputed


class Command(BaseCommand):
    """Say what a statement's facts come to, and whether the statement says the same."""

    help = "Compute the availability and the credit of a month's statement again, from the facts it holds."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "statement",
            type=FileType("rb"),
            help="A statement as GET /v1/sla/{month} gives it; - reads it from the input.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            given = msgspec.json.decode(options["statement"].read(), type=Statement)
            result = recomputed(given)
        except (ValueError, ArithmeticError) as wrong:
            raise CommandError(f"This is no statement: {wrong}") from wrong
        self.stdout.write(
            f"{given.tenant}, {given.month}: {result.availability_percent or 'no'} % available"
            f" ({result.up_seconds} s up, {result.down_seconds} s down, {result.excluded_seconds} s in maintenance,"
            f" {result.unknown_seconds} s not known); credit {result.credit_percent} % of {given.fee}:"
            f" {result.credit} {given.currency}"
        )
        if result != given.result:
            raise CommandError("The statement says something else.")
        self.stdout.write("The statement says the same.")
