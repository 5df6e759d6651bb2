"""`python -m tests.survival.tenants '{"slug": {"rate_per_minute": 600, …}, …}'`: tenants of a running copy, by its own
environment; prints what there is to know of each. One process for all: a command apiece costs three seconds each.
"""

import json
import sys
from typing import Any

import django


def main() -> None:
    django.setup()
    print(json.dumps({slug: _made(slug, limits) for slug, limits in json.loads(sys.argv[1]).items()}))


def _made(slug: str, limits: dict[str, int]) -> dict[str, Any]:
    from tests.cast import enter  # asks for the settings that `setup` has read

    player = enter(slug, "enterprise", **limits)
    tenant = player.tenant
    facts = {"id": tenant.pk, "handle": tenant.handle, "schema": tenant.schema_name}
    return facts | {"key": player.text, "key_id": player.live.pk}


if __name__ == "__main__":
    main()
