"""`manage.py policy_publish --tenant SLUG [--file POLICY.json] [--home-country NAME] [--json]`"""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps import card_numbers
from apps.accounts.models import Tenant
from apps.api_keys.services import get_gate
from apps.scoring.engine.decide import Policy
from apps.scoring.lists.reads import types_of
from apps.scoring.policies import in_force, publish
from apps.scoring.policy_file import MOST_BYTES, InvalidPolicy, changed, members

WORDS: Mapping[type[Exception], str] = {
    FileNotFoundError: "there is no such file.",
    IsADirectoryError: "it is a directory; name the file in it.",
    PermissionError: "you may not read it.",
}


class Command(BaseCommand):
    """Publish a tenant's thresholds, rules and home country; what is not given stays as it was."""

    help = "Publish a tenant's policy: thresholds, rules, home country."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="the tenant's slug")
        parser.add_argument(
            "--file", type=Path, help="a JSON object: medium, high, critical, rules, …; it may be packed (gzip)"
        )
        parser.add_argument("--home-country", help="as the tenant's transactions name it")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = Tenant.objects.filter(slug=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"--tenant: there is no tenant '{options['tenant']}'")
        was, lists = in_force(tenant), types_of(tenant.schema_name)
        policy = _changed(was, options["file"], options["home_country"], lists, self.stderr.write)
        version = publish(tenant=tenant, policy=policy, gate=get_gate(), now=timezone.now())
        facts = {"tenant": tenant.slug, "policy_version": version}
        self.stdout.write(json.dumps(facts) if options["json"] else f"policy {version} decides for {tenant.slug}")


def _changed(
    policy: Policy, file: Path | None, home_country: str | None, lists: Collection[str], warn: Callable[[str], Any]
) -> Policy:
    """The policy with what the file says, and the home country. Raises `CommandError` naming what is wrong."""
    try:
        value = {} if file is None else members(_read(file))
        if home_country is not None:
            value["home_country"] = home_country
        if card_numbers.mask_json(value) != value:
            warn(*card_numbers.warning(["the policy"]))
        return changed(policy, value, lists)
    except InvalidPolicy as wrong:
        raise CommandError(f"{_option(wrong, file, home_country)}: {wrong}") from wrong


def _option(wrong: InvalidPolicy, file: Path | None, home_country: str | None) -> str:
    """What has to be given otherwise."""
    if home_country is not None and str(wrong).startswith("home_country"):
        return "--home-country"
    return "--file" if file else "the policy as it is published"


def _read(file: Path) -> bytes:
    """The file's bytes, as far as they can be meant."""
    try:
        with file.open("rb") as opened:
            return opened.read(MOST_BYTES + 1)
    except (OSError, ValueError) as wrong:
        raise CommandError(f"--file: {WORDS.get(type(wrong), f'it can not be read: {wrong}')}") from wrong
