"""`manage.py receipts_verify [--tenant SLUG] [--heads FILE]`: is every decision as it was recorded? Says which not."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounts.models import Tenant
from apps.batches.receipted import WAYS
from apps.scoring import receipt_check
from apps.scoring.receipts import Head

#: Faults told in words.
MOST = 100


class Command(BaseCommand):
    help = "Verify the receipts of decisions; tell every decision that was changed, removed or inserted."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", help="only this tenant's, by its slug; else everybody's")
        parser.add_argument(
            "--heads",
            type=Path,
            help="Compare with the heads this file keeps from the last time, then keep today's. Keep it elsewhere:"
            " against whoever can rewrite the whole database.",
        )

    def handle(self, *args: Any, tenant: str | None = None, heads: Path | None = None, **options: Any) -> None:
        tenants = list(Tenant.objects.filter(**({"slug": tenant} if tenant else {})).order_by("pk"))
        if tenant and not tenants:
            raise CommandError(f"--tenant: there is no tenant '{tenant}'")
        kept = _read(heads) if heads else {}
        found = list(islice(_faults(tenants, kept), MOST))
        for fault in found:
            self.stderr.write(fault)
        if found:
            more = " or more" if len(found) == MOST else ""
            raise CommandError(f"Decisions are not as they were recorded: {len(found)}{more} faults.")
        now = {one.slug: receipt_check.head_of(one.schema_name) for one in tenants}
        if heads:
            told = {slug: [head.number, head.digest.hex()] for slug, head in (kept | now).items()}
            heads.write_text(json.dumps(told, indent=1) + "\n")
        self.stdout.write(f"Whole: {sum(head.number for head in now.values()):,} receipts of {len(now):,} tenants.")


def _faults(tenants: list[Tenant], kept: Mapping[str, Head]) -> Iterator[str]:
    for tenant in tenants:
        for fault in receipt_check.faults(tenant.schema_name, WAYS, kept.get(tenant.slug)):
            yield f"{tenant.slug}: {fault}"


def _read(file: Path) -> dict[str, Head]:
    """The heads kept last time; none the first time."""
    if not file.exists():
        return {}
    return {
        slug: Head(number, bytes.fromhex(digest)) for slug, (number, digest) in json.loads(file.read_text()).items()
    }
