"""`manage.py restore FILE`: bring a backup back, of everything into an empty database, of one tenant into any."""

import os
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.api_keys.services import get_gate
from apps.operations.backups import restoring
from apps.operations.backups.manifest import Secrets, as_environment, fingerprint
from apps.operations.backups.postgres import ProgramFailed
from apps.operations.backups.sealed_file import Damaged
from apps.valkey import server
from config.local.secrets import adopt


class Command(BaseCommand):
    help = "Restore a backup made by `manage.py backup`: docs/operations.md#backups."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--secrets", action="store_true", help="show the secrets it was made under")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        try:
            with file.open("rb") as raw:
                self._restore(raw, show=options["secrets"])
        except (Damaged, restoring.Refused, ProgramFailed, OSError) as trouble:
            raise CommandError(f"{file.name} was not restored. {trouble}") from None

    def _restore(self, raw: IO[bytes], *, show: bool) -> None:
        manifest, secrets = restoring.opened(raw)
        if show:
            self.stdout.write("\n".join(f"{name}={value}" for name, value in as_environment(secrets).items()))
            return
        if fingerprint(Secrets.ours()) != manifest.fingerprint and not restoring.others_are_here():
            sys.exit(_again_under(secrets))
        valkey = server(settings.REDIS_URL, max(settings.REDIS_TIMEOUT, 30.0))
        restoring.restore(raw, valkey, get_gate(), timezone.now())
        what = f"Tenant {manifest.tenant}" if manifest.tenant else "Everything"
        self.stdout.write(f"{what} is restored as of {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC.")


def _again_under(secrets: Secrets) -> int:
    """Take over the secrets of a backup, for nothing here was made under others, and begin once more."""
    told = as_environment(secrets)
    if set_here := [name for name, value in told.items() if os.environ.get(name, value) != value]:
        raise CommandError(f"Set {', '.join(set_here)} as the backup has it: `manage.py restore FILE --secrets`.")
    adopt(told)
    return subprocess.run([sys.executable, *sys.argv], check=False).returncode
