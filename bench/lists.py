"""What a list of a million items costs: a file of them, their room in Valkey and Postgres, writing them again, looking
back, and a decision whose rules ask for it, beside one whose rules ask for none.

    python -m bench.lists [--items 1000000] [--requests 3000]

An installation on a folder of its own. Decisions are made in this process (CPU time, no HTTP), of two tenants in turn,
block by block, so that neighbours of this machine disturb both alike. Prints JSON.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.in_turn import decided, installation

#: Rules of each tenant; of the one with lists a tenth of them ask for the list.
RULES = 100
LOOKED_BACK = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=3_000)
    asked = parser.parse_args()
    with installation():
        for name, figure in _figures(asked.items, asked.requests):
            print(json.dumps({name: figure}), flush=True)


def _figures(items: int, requests: int) -> Iterator[tuple[str, Any]]:
    """Each figure when it is known."""
    from django.conf import settings
    from django.core.management import call_command
    from django.utils import timezone

    from apps.accounts.tenancy import in_tenant
    from apps.api_keys.gate import names_of
    from apps.billing.subscriptions.services import sign_up
    from apps.scoring.lists import importing, publishing, reads, services
    from apps.valkey import server

    call_command("migrate_schemas", verbosity=0)
    valkey = server(settings.REDIS_URL, 60.0)
    limits = {"rate_per_minute": 60_000_000, "included": 1_000_000_000}
    tenants = [
        sign_up(slug=slug, name=slug, plan="enterprise", now=timezone.now(), **limits) for slug in ("with", "without")
    ]
    with_lists = {"tenant": tenants[0], "valkey": valkey, "actor": "bench"}
    row = services.create(
        livemode=True, name="mules", item_type="user", description="", now=timezone.now(), **with_lists
    )
    lines = (f"C{number}\n" for number in range(items))
    begun, spent = time.perf_counter(), time.process_time()
    importing.import_lines(row=row, rows=lines, is_csv=False, clock=timezone.now, **with_lists)
    yield f"{items:,} items of a text file, s", round(time.perf_counter() - begun, 1)
    yield "of them in this process, s", round(time.process_time() - spent, 1)
    key = names_of(tenants[0].handle, True).list("mules")
    yield "bytes of Valkey an item", round(int(valkey.command("MEMORY", "USAGE", key, "SAMPLES", 1_000)) / items, 1)
    with in_tenant(tenants[0]):
        yield "bytes of Postgres an item, with indexes", round(_table_bytes() / items, 1)
    yield "written again, s", round(_seconds(lambda: publishing.publish(tenants[0], row.pk, valkey)), 1)
    values = [f"c{number}" for number in range(0, 2 * LOOKED_BACK, 2)]
    back = _seconds(lambda: reads.members_at(tenants[0].schema_name, True, "mules", values, timezone.now()))
    yield f"members_at of {LOOKED_BACK:,} values, ms", round(back * 1_000)
    yield "lookups in Valkey, µs a call", _script(valkey, key)
    yield "a decision, µs of CPU", _decisions(tenants, requests)


def _table_bytes() -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size('scoring_listitem')")
        return int(cursor.fetchone()[0])


def _script(valkey: Any, key: str) -> dict[str, float]:
    """What Valkey spends on the lookups alone, by how many lists are asked for: its own count of microseconds."""
    from pathlib import Path

    from apps.scoring.lists.publishing import HEADER
    from apps.scoring.lists.tokens import token_of
    from apps.scoring.serving import activity
    from apps.valkey import Script

    lua = (Path(activity.__file__).parent / "lists.lua").read_text()
    script = Script(f"local call, first, parties, ridden = redis.call, 1, 0, {{}}\n{lua}\nreturn ridden")
    found = {}
    for lists in (0, 1, 10):
        keys, arguments = [key] * lists, [0, 0, lists]
        for number in range(lists):
            arguments += [2, HEADER, token_of(f"c{number}")]  # type: ignore[list-item]
        valkey.run(script, keys, arguments)
        valkey.command("CONFIG", "RESETSTAT")
        for _ in range(2_000):
            valkey.run(script, keys, arguments)
        told = valkey.command("INFO", "commandstats").decode()
        (line,) = [one for one in told.splitlines() if one.startswith("cmdstat_evalsha:")]
        found[f"{lists} lists"] = float(line.partition("usec_per_call=")[2].partition(",")[0])
    return found


def _decisions(tenants: list[Any], requests: int) -> dict[str, float]:
    """CPU time of a decision of each tenant, the median of blocks asked in turn."""
    from django.utils import timezone

    from apps.api_keys.services import create_key, get_gate
    from apps.scoring.engine.decide import Policy
    from apps.scoring.engine.rules import Rule
    from apps.scoring.policies import publish
    from config.application_api import application

    plain = [Rule(f"r{number}", "note", when=f"amount > {1e6 + number}") for number in range(RULES)]
    lists = [Rule(f"l{number}", "note", when="nameOrig in lists.mules") for number in range(RULES // 10)]
    keys = []
    for tenant, rules in zip(tenants, ([*plain[len(lists) :], *lists], plain), strict=True):
        publish(tenant=tenant, policy=Policy(rules=tuple(rules)), gate=get_gate(), now=timezone.now())
        keys.append(create_key(tenant=tenant, name="bench", scopes=["predict"], livemode=False, now=timezone.now())[1])
    application.before_serving()
    times = decided(application, keys, requests)
    return {
        "100 rules, 10 of them on the list": times.one,
        "100 rules, none": times.other,
        "difference": times.more,
    }


def _seconds(do: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    do()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
