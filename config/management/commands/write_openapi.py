"""`manage.py write_openapi`: the API's description to static/openapi.json."""

import json
from typing import Any

from django.core.management.base import BaseCommand

from apps.api.documentation import OPENAPI
from apps.api.openapi.document import document


class Command(BaseCommand):
    """Write what the code says of itself; a test refuses a file that is older."""

    help = "Write the API's description, OpenAPI 3.1, to static/openapi.json."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        OPENAPI.parent.mkdir(exist_ok=True)
        OPENAPI.write_text(json.dumps(document(), indent=1, ensure_ascii=False) + "\n")
        self.stdout.write(f"{OPENAPI.relative_to(OPENAPI.parent.parent)} is written.")
