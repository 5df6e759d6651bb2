"""`manage.py backup [--tenant SLUG] [--to FOLDER]`: one sealed file with all there is, made while everything runs."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.operations.backups import making
from apps.valkey import server


class Command(BaseCommand):
    help = "Back up everything, or one tenant, into a sealed file: docs/operations.md#backups."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", help="the slug of the one tenant to back up")
        parser.add_argument("--to", type=Path, help="the folder; PALISADE_BACKUP_DIR when it is left out")

    def handle(self, *args: Any, tenant: str | None = None, to: Path | None = None, **options: Any) -> None:
        folder = to or (Path(settings.BACKUP_DIR) if settings.BACKUP_DIR else None)
        if folder is None:
            raise CommandError("Say where: --to FOLDER, or PALISADE_BACKUP_DIR for this and every night.")
        whose = Tenant.objects.filter(slug=tenant).first() if tenant else None
        if tenant and whose is None:
            raise CommandError(f"There is no tenant '{tenant}'.")
        valkey = server(settings.REDIS_URL, max(settings.REDIS_TIMEOUT, 30.0))
        path = making.keep(folder.expanduser().resolve(), valkey, timezone.now(), tenant=whose)
        self.stdout.write(f"{path} ({path.stat().st_size:,} bytes)")
