"""`manage.py key_rotate KEY [--overlap 24h] [--json]`: KEY is its id or its text."""

import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.api_keys.management.commands.key_create import UNITS
from apps.api_keys.management.commands.key_revoke import add_key_argument, the_key
from apps.api_keys.services import InvalidKeyRequest, get_gate, rotate_key


def parse_span(text: str) -> timedelta:
    """30m, 12h, 7d or 0."""
    if text == "0":
        return timedelta(0)
    if text[-1:] not in UNITS or not text[:-1].isdigit():
        raise CommandError("--overlap: say 30m, 12h, 7d or 0")
    return timedelta(**{UNITS[text[-1]]: int(text[:-1])})


class Command(BaseCommand):
    """Replace a key by a new one with the same rights."""

    help = "Create a successor of an API key and print it once; the old key lives on for the overlap."

    def add_arguments(self, parser: CommandParser) -> None:
        add_key_argument(parser)
        parser.add_argument("--overlap", default="0", help="how long the old key lives on: 0 to 7d (default 0)")

    def handle(self, *args: Any, **options: Any) -> None:
        key = the_key(options)
        try:
            successor, text = rotate_key(
                key=key, gate=get_gate(), now=timezone.now(), overlap=parse_span(options["overlap"])
            )
        except InvalidKeyRequest as wrong:
            raise CommandError(f"--{wrong}") from wrong
        facts = {"id": successor.pk, "key": text, "replaces": key.pk}
        plain = f"{text}\n\nid {successor.pk}, replaces {key.pk}. This is the only time the key is shown."
        self.stdout.write(json.dumps(facts) if options["json"] else plain)
