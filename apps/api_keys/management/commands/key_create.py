"""`manage.py key_create --tenant S --scopes read,predict,batch [--test] [--allow CIDR] [--expires …] --json`"""

import json
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date

from apps import times
from apps.accounts.models import Tenant
from apps.api_keys.services import InvalidKeyRequest, create_key

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def parse_expiry(text: str, now: datetime) -> datetime:
    """A moment: ISO 8601 (2026-12-31 or with a time), or from now on: 30m, 12h, 90d."""
    if text[-1:] in UNITS and text[:-1].isdigit():
        return now + timedelta(**{UNITS[text[-1]]: int(text[:-1])})
    try:
        day = parse_date(text)
        moment = times.read(text) if day is None else datetime(day.year, day.month, day.day, tzinfo=now.tzinfo)
    except ValueError as wrong:
        raise CommandError(
            "--expires: say a date (2026-12-31), a time (2026-12-31T10:00:00Z) or a span (30m, 12h, 90d)"
        ) from wrong
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)


class Command(BaseCommand):
    """Make a key and print it, once."""

    help = "Create an API key; its text is printed this once and never again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="the tenant's slug")
        parser.add_argument("--name", default="command line")
        parser.add_argument("--scopes", default="read,predict", help="of read, predict, batch, admin; comma-separated")
        parser.add_argument("--test", action="store_true", help="a test-mode key: scores really, is never billed")
        parser.add_argument("--allow", action="append", default=[], metavar="CIDR", help="allowed network; repeatable")
        parser.add_argument("--expires", help="2026-12-31, 2026-12-31T10:00:00Z, 30m, 12h or 90d")
        parser.add_argument("--rate-per-minute", type=int, help="the key's own limit, below the plan's")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"--tenant: there is no tenant '{options['tenant']}'")
        try:
            key, text = create_key(
                tenant=tenant,
                name=options["name"],
                scopes=[scope.strip() for scope in options["scopes"].split(",") if scope.strip()],
                now=now,
                livemode=not options["test"],
                networks=[part.strip() for said in options["allow"] for part in said.split(",")],
                expires_at=parse_expiry(options["expires"], now) if options["expires"] else None,
                rate_per_minute=options["rate_per_minute"],
            )
        except InvalidKeyRequest as wrong:
            raise CommandError(f"--{wrong}") from wrong
        self.stdout.write(_shown(key.pk, text, tenant.slug, options["json"], key.scopes, key.livemode))


def _shown(key_id: int, text: str, tenant: str, as_json: bool, scopes: list[str], livemode: bool) -> str:
    if not as_json:
        return f"{text}\n\nid {key_id}. This is the only time the key is shown."
    return json.dumps({"id": key_id, "key": text, "tenant": tenant, "scopes": scopes, "livemode": livemode})
