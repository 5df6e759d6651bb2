"""How long a tenant takes: `python -m bench.tenants`. Prints milliseconds as JSON."""

import json
import os
import statistics
import time


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.portal")
    import django

    django.setup()
    from django.utils import timezone

    from apps.billing.subscriptions.services import sign_up

    times = []
    for number in range(30):
        begun = time.perf_counter()
        sign_up(slug=f"bench-{time.time_ns()}-{number}", name="Bench", plan="free", now=timezone.now())
        times.append((time.perf_counter() - begun) * 1000)
    print(json.dumps({"median_ms": statistics.median(times[1:]), "slowest_ms": max(times[1:])}))


if __name__ == "__main__":
    main()
