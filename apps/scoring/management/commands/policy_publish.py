"""`manage.py policy_publish --tenant SLUG [--file POLICY.json] [--home-country NAME] [--json]`"""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.accounts.models import Tenant
from apps.api_keys.services import this_gate
from apps.scoring.engine.decide import Policy
from apps.scoring.engine.rules import InvalidRules, decode_rules
from apps.scoring.engine.schemas import SCHEMAS
from apps.scoring.policies import load, publish


class Command(BaseCommand):
    """Publish a tenant's thresholds, rules and home country; what is not given stays as it was."""

    help = "Publish a tenant's policy: thresholds, rules, home country."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="the tenant's slug")
        parser.add_argument("--file", type=Path, help="a JSON object: medium, high, critical, rules, …")
        parser.add_argument("--home-country", help="as the tenant's transactions name it")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"--tenant: there is no tenant '{options['tenant']}'")
        policy = _changed(_present(tenant), options["file"], options["home_country"])
        version = publish(tenant=tenant, policy=policy, gate=this_gate(), now=timezone.now())
        facts = {"tenant": tenant.slug, "policy_version": version}
        self.stdout.write(json.dumps(facts) if options["json"] else f"policy {version} decides for {tenant.slug}")


def _present(tenant: Tenant) -> Policy:
    return load(tenant.schema_name, tenant.policy_version) if tenant.policy_version else Policy()


def _changed(policy: Policy, file: Path | None, home_country: str | None) -> Policy:
    """The policy with what the file says and the home country. Raises `CommandError` naming what is wrong."""
    said = {} if file is None else _read(file)
    if home_country is not None:
        said["home_country"] = home_country
    try:
        changed = msgspec.convert({**msgspec.to_builtins(policy), **said}, Policy)
        decode_rules(msgspec.to_builtins(changed.rules), _known_fields())
    except (msgspec.ValidationError, InvalidRules) as wrong:
        raise CommandError(f"--file: {wrong}") from wrong
    if not 0 < changed.medium <= changed.high <= changed.critical <= 1 or changed.review_at > changed.block_at:
        raise CommandError("--file: 0 < medium <= high <= critical <= 1 and review_at <= block_at must hold")
    return changed


def _read(file: Path) -> dict[str, Any]:
    try:
        said = json.loads(file.read_text())
    except (OSError, ValueError) as wrong:
        raise CommandError(f"--file: {wrong}") from wrong
    unknown = set(said) - set(Policy.__struct_fields__) if isinstance(said, dict) else {"the whole file"}
    if unknown:
        raise CommandError(
            f"--file: unknown: {', '.join(sorted(unknown))}. Known: {', '.join(Policy.__struct_fields__)}"
        )
    return said


def _known_fields() -> frozenset[str]:
    return frozenset().union(*(schema.known_to_rules for schema in SCHEMAS.values()))
