"""`manage.py import_rules FILE [--from radar|detector] [--tenant SLUG --apply [--test]] [--json]`

FILE is the text of Stripe Radar's rules, or JSON: what `POST /v1/imports` takes for either source.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import msgspec
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.api_keys.services import get_gate
from apps.imports import fraud_detector, services, stripe_radar
from apps.imports.fraud_detector import DetectorExport
from apps.imports.plan import ImportPlan
from apps.imports.services import Target
from apps.imports.stripe_radar import RadarExport
from apps.imports.translation import LeftOut
from apps.scoring.engine.rules import InvalidRules
from apps.scoring.lists.services import TooMany
from apps.usage.metering.journal import Journal
from apps.valkey import server


class Command(BaseCommand):
    """Tell what rules of another service become here, and take them over as drafts when asked to."""

    help = "Bring rules, lists and labels along from Stripe Radar or Amazon Fraud Detector."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the rules' text, or JSON as POST /v1/imports takes it")
        parser.add_argument("--from", dest="source", choices=("radar", "detector"), default="radar")
        parser.add_argument("--tenant", help="the tenant's slug")
        parser.add_argument("--apply", action="store_true", help="take it over: rules as drafts, lists, labels")
        parser.add_argument("--test", action="store_true", help="lists and labels of the test mode")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        plan = _plan(options["file"], options["source"])
        applied = None
        if options["apply"]:
            target = _target(options["tenant"], livemode=not options["test"])
            try:
                applied = services.apply(target, plan, timezone.now())
            except (InvalidRules, TooMany) as wrong:
                raise CommandError(str(wrong)) from wrong
        if options["json"]:
            told = {"plan": msgspec.to_builtins(plan), "applied": msgspec.to_builtins(applied)}
            self.stdout.write(msgspec.json.encode(told).decode())
            return
        for rule in plan.rules:
            self.stdout.write(f"{rule.id}: {rule.outcome} when {rule.when}")
            self.stdout.writelines(f"  {remark}\n" for remark in rule.remarks)
        for left in plan.left:
            self.stdout.write(f"left out: {left.part} {left.name}: {left.why}")
        if applied is not None:
            self.stdout.write(
                f"policy {applied.policy_version}: {applied.rules} drafts; {applied.lists} lists, "
                f"{applied.items} items; {applied.labels} labels"
            )


def _plan(file: Path, source: str) -> ImportPlan:
    try:
        content = file.read_bytes()
        if source == "detector":
            return fraud_detector.plan(msgspec.json.decode(content, type=DetectorExport))
        if content.lstrip().startswith(b"{"):
            return stripe_radar.plan(msgspec.json.decode(content, type=RadarExport))
        return stripe_radar.plan(RadarExport(rules=[content.decode()]))
    except (OSError, UnicodeDecodeError, msgspec.DecodeError, LeftOut) as wrong:
        raise CommandError(f"{file}: {wrong}") from wrong


def _target(slug: str | None, *, livemode: bool) -> Target:
    tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None:
        raise CommandError(f"--tenant: there is no tenant '{slug or ''}'")
    journal = Journal(server(settings.REDIS_URL, settings.REDIS_TIMEOUT))
    return Target(tenant, livemode, get_gate(), journal, "command")
