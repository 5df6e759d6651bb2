"""What rules cost a decision: a hundred live ones, twenty shadows and a list of a million items, beside none at all.

    python -m bench.rules [--items 1000000] [--requests 3000] [--aggregates 20]

`--aggregates`: so many are counted beside, each asked by a rule.

An installation on a folder of its own. Decisions are made in this process (CPU time, no HTTP), of two tenants in turn,
block by block, so that neighbours of this machine disturb both alike. Prints JSON; fails when the requirement does.
"""

import argparse
import json
import subprocess
import sys
import time
from typing import Any

from bench.in_turn import decided, installation

MOST_ADDED_US = 150.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=3_000)
    parser.add_argument("--aggregates", type=int, default=0)
    asked = parser.parse_args()
    with installation():
        # Migrations would stay in the memory of the process that is measured.
        subprocess.run([sys.executable, "manage.py", "migrate_schemas"], check=True, stdout=subprocess.DEVNULL)
        figures = _figures(asked.items, asked.requests, asked.aggregates)
    print(json.dumps(figures, indent=1))
    added, more = figures["added, µs"], figures["SQL statements"] or figures["round trips more"]
    if added > MOST_ADDED_US or more:
        raise SystemExit(f"missed: {added} µs of {MOST_ADDED_US}, {more} statements or round trips more")


def _figures(items: int, requests: int, counted: int) -> dict[str, Any]:
    from django.utils import timezone

    from apps.api_keys.services import create_key, get_gate
    from apps.billing.subscriptions.services import sign_up
    from apps.scoring.engine.decide import Policy
    from apps.scoring.policies import publish
    from bench.rule_texts import aggregates, asking_each, rules
    from config.application_api import application

    limits = {"rate_per_minute": 60_000_000, "included": 1_000_000_000}
    keys, now = [], timezone.now()
    for slug in ("with", "without"):
        tenant = sign_up(slug=slug, name=slug, plan="enterprise", now=now, **limits)
        if slug == "with":
            _list_of(tenant, items)
            started = time.perf_counter()
            some = aggregates(counted)
            policy = Policy(rules=asking_each(rules(lists=True), some), aggregates=some)
            publish(tenant=tenant, policy=policy, gate=get_gate(), now=now)
            published = time.perf_counter() - started
        keys.append(create_key(tenant=tenant, name="bench", scopes=["predict"], livemode=False, now=now)[1])
    application.before_serving()
    return {
        "items": items,
        "rules": "100 live, 20 shadows; a tenth of them ask the list",
        "aggregates": f"{counted}, each asked by a rule",
        "publish, ms": round(published * 1_000),
        **_decisions(application, keys, requests),
        **_asked(application, keys),
    }


def _list_of(tenant: Any, items: int) -> None:
    from django.conf import settings
    from django.utils import timezone

    from apps.scoring.lists import importing, services
    from apps.valkey import server

    who = {"tenant": tenant, "valkey": server(settings.REDIS_URL, 60.0), "actor": "bench"}
    for livemode in (True, False):
        row = services.create(
            livemode=livemode, name="mules", item_type="user", description="", now=timezone.now(), **who
        )
        lines = (f"M{number}\n" for number in range(items if not livemode else 1))
        importing.import_lines(row=row, rows=lines, is_csv=False, clock=timezone.now, **who)


def _decisions(application: Any, keys: list[str], requests: int) -> dict[str, float]:
    times = decided(application, keys, requests)
    return {"decision with, µs": times.one, "decision without, µs": times.other, "added, µs": times.more}


def _asked(application: Any, keys: list[str]) -> dict[str, int]:
    """SQL statements of ten decisions with rules, and how many more calls of Valkey than without."""
    from django.conf import settings
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from apps.valkey import server
    from bench.hot_path import bodies, request

    valkey, calls = server(settings.REDIS_URL, 60.0), []
    with CaptureQueriesContext(connection) as captured:
        for key in keys:
            valkey.command("CONFIG", "RESETSTAT")
            for body in bodies(10, seed=5):
                request(application, key, body)
            told = valkey.command("INFO", "stats").decode()
            (line,) = [one for one in told.splitlines() if one.startswith("total_reads_processed:")]
            calls.append(int(line.partition(":")[2]))
    return {"SQL statements": len(captured), "round trips more": (calls[0] - calls[1]) // 10}


if __name__ == "__main__":
    main()
