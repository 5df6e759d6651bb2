"""What the workers do about backups and receipts, on the schedule of config/celery.py."""

import logging
from datetime import timedelta
from itertools import islice
from pathlib import Path

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.accounts.services import MOST_DIFFERENCES, RECEIPTS, record_check
from apps.batches.receipted import WAYS
from apps.operations.backups import making
from apps.scoring import receipt_check
from apps.valkey import server

log = logging.getLogger(__name__)

#: Seconds Valkey may take for a block of keys.
PATIENCE = 30.0
#: What was recorded so lately is held against its receipts each night; all of it by `manage.py receipts_verify`.
LATELY = timedelta(days=2)


@shared_task
def back_up() -> str:
    """Make tonight's backup of everything; its name, "" where no folder is named for them."""
    if not settings.BACKUP_DIR:
        return ""
    valkey = server(settings.REDIS_URL, PATIENCE)
    return making.keep(Path(settings.BACKUP_DIR), valkey, timezone.now(), actor="clock").name


@shared_task
def verify_receipts() -> int:
    """Hold the decisions of the last days against their receipts; how many are not as they were recorded."""
    now, found = timezone.now(), list[str]()
    for tenant in Tenant.objects.order_by("pk"):
        faults = receipt_check.faults(tenant.schema_name, WAYS, since=now - LATELY)
        found += [f"{tenant.slug}: {fault}" for fault in islice(faults, MOST_DIFFERENCES)]
    record_check(RECEIPTS, found, now)
    for fault in found:
        log.error("a decision is not as it was recorded: %s", fault)
    return len(found)
