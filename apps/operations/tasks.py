"""What the workers do about backups, on the schedule of config/celery.py."""

from pathlib import Path

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from apps.operations.backups import making
from apps.valkey import server

#: Seconds Valkey may take for a block of keys.
PATIENCE = 30.0


@shared_task
def back_up() -> str:
    """Make tonight's backup of everything; its name, "" where no folder is named for them."""
    if not settings.BACKUP_DIR:
        return ""
    valkey = server(settings.REDIS_URL, PATIENCE)
    return making.keep(Path(settings.BACKUP_DIR), valkey, timezone.now(), actor="clock").name
