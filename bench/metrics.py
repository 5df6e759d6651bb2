"""What watching costs: `python -m bench.metrics [--tenants 1000]` (`make bench-metrics`). Prints JSON.

page      /metrics of a running copy with that many tenants, over HTTP, each time asked anew; the limit is 20 ms
figures   what the worker's tasks take for all tenants
counting  µs of processor a request spends on counting, and which share of the whole request that is; limit 3 %
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from typing import Any

from bench.copy import ROOT, Copy, running

ASKED, REQUESTS, ROUNDS = 40, 400, 7
#: Longer than what was asked of the stores is remembered.
APART_SECONDS = 2.1


def page(copy: Copy, asked: int) -> dict[str, float]:
    """Milliseconds of /metrics, and how much of it there is."""
    took, text = [], b""
    for _ in range(asked):
        time.sleep(APART_SECONDS)
        begun = time.perf_counter()
        with urllib.request.urlopen(f"{copy.api}/metrics", timeout=10) as answer:
            text = answer.read()
        took.append(1000 * (time.perf_counter() - begun))
    warm = sorted(took[4:])  # each worker learns the files' layout once
    return {
        "lines": text.count(b"\n"),
        "median_ms": round(statistics.median(warm), 1),
        "p95_ms": round(warm[int(0.95 * len(warm))], 1),
        "first_ms": round(max(took[:4]), 1),
    }


def inside(arguments: list[str], copy: Copy) -> Any:
    """What this program measures in a process of the copy's own."""
    command = [sys.executable, "-m", "bench.metrics", *arguments]
    environment = copy.environment | {"PROMETHEUS_MULTIPROC_DIR": f"{copy.environment['PALISADE_DATA']}/metrics"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def figures(tenants: int) -> dict[str, float]:
    """Sign up so many and let each use something; seconds its figures take."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.portal")
    import django

    django.setup()
    from django.utils import timezone

    from apps.billing.subscriptions.services import sign_up
    from apps.monitoring import tasks
    from apps.usage.models import UsageDay

    now = timezone.now()
    for number in range(tenants):
        plan = ("free", "basic", "professional", "enterprise")[number % 4]
        tenant = sign_up(slug=f"bench-{number}", name="Bench", plan=plan, now=now)
        UsageDay.objects.create(
            tenant_id=tenant.pk, day=now.date(), endpoint="decisions", livemode=True, decisions=9, units=9, degraded=0
        )
    found = {}
    for name, task in (("often_s", tasks.take_figures), ("hourly_s", tasks.take_hourly_figures)):
        begun = time.perf_counter()
        task()
        found[name] = round(time.perf_counter() - begun, 3)
    return found


def counting(key: str) -> dict[str, float]:
    """The same requests with counting and without, by turns, so that a busy neighbour meets both."""
    from unittest.mock import patch

    from config.application_api import application  # isort: skip - it sets Django up

    from apps.api import endpoint
    from apps.scoring.serving import metrics
    from bench.hot_path import bodies, request

    class Deaf:
        def labels(self, *_: object) -> "Deaf":
            return self

        def observe(self, _: float) -> None:
            pass

    def processor(said: list[bytes]) -> float:
        begun = time.process_time()
        for body in said:
            request(application, key, body)
        return (time.process_time() - begun) / len(said) * 1e6

    application.before_serving()
    processor(bodies(200, seed=1))
    counted, deaf = [], []
    for turn in range(ROUNDS):
        counted.append(processor(bodies(REQUESTS, seed=time.time_ns())))
        with patch.object(metrics, "count", lambda *_: None), patch.object(endpoint, "SECONDS", Deaf()):
            deaf.append(processor(bodies(REQUESTS, seed=time.time_ns() + turn)))
    whole, without = statistics.median(counted), statistics.median(deaf)
    return {"request_us": round(whole), "without_us": round(without), "share": round((whole - without) / whole, 4)} | {
        "counted_us": round(alone(), 1)
    }


def alone() -> float:
    """µs of the calls that count one request, by themselves."""
    from apps.api.endpoint import SECONDS
    from apps.scoring.serving import metrics

    begun, times = time.process_time(), 20_000
    for _ in range(times):
        metrics._predictions("paysim", "xgboost", "approve", "free").inc()
        metrics._seconds("paysim").observe(0.001)
        SECONDS.labels("decisions", 200).observe(0.001)
    return (time.process_time() - begun) / times * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--asked", type=int, default=ASKED)
    parser.add_argument("--figures", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--counting", metavar="KEY", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.figures is not None:
        print(json.dumps(figures(options.figures)))
    elif options.counting:
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.api"
        print(json.dumps(counting(options.counting)))
    else:
        with running() as copy:
            key = copy.tenant_with_key("watched")
            found = {"figures": inside(["--figures", str(options.tenants)], copy)}
            found |= {"counting": inside(["--counting", key], copy), "page": page(copy, options.asked)}
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
