"""`manage.py backup [--tenant SLUG] [--to FOLDER]`: one sealed file with all there is, made while everything runs."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.operations.backups import making
from apps.valkey import server
from config.local import wal


class Command(BaseCommand):
    help = "Back up everything, or one tenant, into a sealed file: docs/operations.md#backups."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", help="the slug of the one tenant to back up")
        parser.add_argument("--to", type=Path, help="the folder; PALISADE_BACKUP_DIR when it is left out")

        parser.add_argument(
            "--base",
            action="store_true",
            help="a base to go back to a moment from, into PALISADE_WAL_DIR (embedded)",
        )

    def handle(self, *args: Any, tenant: str | None = None, to: Path | None = None, **options: Any) -> None:
        if options["base"]:
            self.stdout.write(str(self._base()))
            return
        folder = to or (Path(settings.BACKUP_DIR) if settings.BACKUP_DIR else None)
        if folder is None:
            raise CommandError("Say where: --to FOLDER, or PALISADE_BACKUP_DIR for this and every night.")
        whose = Tenant.objects.filter(slug=tenant).first() if tenant else None
        if tenant and whose is None:
            raise CommandError(f"There is no tenant '{tenant}'.")
        valkey = server(settings.REDIS_URL, max(settings.REDIS_TIMEOUT, 30.0))
        path = making.keep(folder.expanduser().resolve(), valkey, timezone.now(), tenant=whose)
        self.stdout.write(f"{path} ({path.stat().st_size:,} bytes)")

    def _base(self) -> Path:
        """A copy of the embedded server's files. Another's belongs to whoever runs it."""
        folder = os.environ.get("PALISADE_WAL_DIR")
        if os.environ.get("DATABASE_URL") or not folder:
            raise CommandError("It is for the embedded PostgreSQL, with PALISADE_WAL_DIR set.")
        try:
            return wal.make_base(Path(folder), timezone.now())
        except wal.Refused as trouble:
            raise CommandError(str(trouble)) from None
