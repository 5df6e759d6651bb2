"""How long a tenant takes whose schema stands ready, and one whose schema is built: `python -m bench.tenants`. Prints
milliseconds as JSON."""

import json
import os
import statistics
import time

NUMBER = 30


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.portal")
    import django

    django.setup()
    from django.test import override_settings

    from apps.accounts import ready_schemas

    with override_settings(READY_SCHEMAS=NUMBER):
        ready_schemas.stock()
    ready, built = _median(), _median()
    print(json.dumps({"ready_ms": ready, "built_ms": built}))


def _median() -> float:
    """What so many sign-ups take, the first of them left out."""
    from django.utils import timezone

    from apps.billing.subscriptions.services import sign_up

    times = []
    for number in range(NUMBER):
        begun = time.perf_counter()
        sign_up(slug=f"bench-{time.time_ns()}-{number}", name="Bench", plan="free", now=timezone.now())
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times[1:])


if __name__ == "__main__":
    main()
