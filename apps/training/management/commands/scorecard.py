"""`manage.py scorecard --data DIR [--keep DIR]`: train everything from scratch and write docs/model-quality.md.

Without `--data` the page is written anew from the cards of the models on the shelf.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Write docs/model-quality.md, from models trained from scratch (--data) or from those on the shelf."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--data", type=Path, metavar="DIR", help="where the training files are")
        parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the trained models there, made active")
        parser.add_argument("--artifacts", type=Path, default=settings.ARTIFACTS_DIR, metavar="DIR")
        parser.add_argument("--out", type=Path, default=settings.BASE_DIR / "docs" / "model-quality.md", metavar="FILE")

    def handle(self, *args: Any, **options: Any) -> None:
        from apps.training.data import UnusableData
        from apps.training.scorecard import page

        try:
            written = self._measured(options) if options["data"] else page(options["artifacts"])
        except UnusableData as unusable:
            raise CommandError(str(unusable)) from unusable
        options["out"].write_text(written)
        self.stdout.write(f"wrote {options['out']}")

    def _measured(self, options: dict[str, Any]) -> str:
        from apps.training.scorecard import measured

        return measured(options["data"], self.stdout.write, options["keep"])
