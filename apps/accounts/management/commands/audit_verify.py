"""`manage.py audit_verify [--heads FILE]`: is the audit trail as it was written? Says where it is not."""

import json
from argparse import ArgumentParser
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounts import audit_chain
from apps.accounts.audit_chain import Head
from apps.accounts.models import AuditEntry

#: Faults told in words.
MOST = 100


class Command(BaseCommand):
    help = "Verify seals and chains of the audit trail; tell every entry that was changed, removed, inserted or moved."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--heads",
            type=Path,
            help="Compare with the heads this file keeps from the last time, then keep today's. Keep it elsewhere:"
            " against whoever can rewrite the whole database.",
        )

    def handle(self, *args: Any, heads: Path | None = None, **options: Any) -> None:
        kept = _read(heads) if heads else {}
        found = list(islice(audit_chain.faults(kept), MOST))
        for fault in found:
            self.stderr.write(str(fault))
        if found:
            more = " or more" if len(found) == MOST else ""
            raise CommandError(f"The audit trail is not as it was written: {len(found)}{more} faults.")
        now = audit_chain.heads()
        if heads:
            heads.write_text(json.dumps({str(chain): head for chain, head in now.items()}, indent=1) + "\n")
        self.stdout.write(f"Whole: {AuditEntry.objects.count():,} entries in {len(now):,} chains.")


def _read(file: Path) -> dict[int, Head]:
    """The heads kept last time; none the first time."""
    if not file.exists():
        return {}
    return {int(chain): Head(*head) for chain, head in json.loads(file.read_text()).items()}
