"""`manage.py key_revoke KEY [--json]`: KEY is its id or its text."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.api_keys.models import ApiKey
from apps.api_keys.services import find_key, get_gate, revoke_key


def add_key_argument(parser: CommandParser) -> None:
    """The key as a plain argument or as --key / --id."""
    parser.add_argument("key", nargs="?", help="the key's id or its text")
    parser.add_argument("--key", "--id", dest="key_option", help="the same, as an option")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def the_key(options: dict[str, Any]) -> ApiKey:
    value = options["key"] or options["key_option"]
    if not value:
        raise CommandError("say which key: its id or its text")
    try:
        return find_key(str(value))
    except ApiKey.DoesNotExist as missing:
        raise CommandError("there is no such key") from missing


class Command(BaseCommand):
    """Revoke a key at once, everywhere."""

    help = "Revoke an API key: the next request with it is refused, on every process."

    def add_arguments(self, parser: CommandParser) -> None:
        add_key_argument(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        key = the_key(options)
        gate_knows = revoke_key(key=key, gate=get_gate(), now=timezone.now())
        where = "everywhere" if gate_knows else "in Postgres; Valkey is away and will be told as soon as it is back"
        facts = {"id": key.pk, "revoked": True, "gate_told": gate_knows}
        self.stdout.write(json.dumps(facts) if options["json"] else f"{key} is revoked {where}.")
