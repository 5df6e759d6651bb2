"""What many tenants cost: migrating their schemas, making one more, a decision beside 10,000 tenants and 100,000 keys.

    python -m bench.many_tenants [--schemas 1000] [--tenants 10000] [--keys 100000]

Two installations on folders of their own: one with a tenant, one with many. Decisions are asked of both in turn, block
by block, so that neighbours of this machine disturb both alike. Of the many tenants `--schemas` have schemas (one is
1.5 MB); the others are rows, as keys are: what a decision asks of them stands in Valkey. Prints JSON.
"""

import argparse
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.copy import PYTHON, ROOT, free_port
from bench.transactions import question

ROUNDS, BLOCK = 30, 100
#: Of the many keys so many are used, so that each is a key of its own and none is asked for the first time.
USED = 1_000


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--schemas", type=int, default=1_000)
    asked.add_argument("--tenants", type=int, default=10_000)
    asked.add_argument("--keys", type=int, default=100_000)
    asked.add_argument("--step", choices=["make", "wait"], help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.step == "make":
        print(json.dumps(_make(given.schemas, given.tenants, given.keys)))
        return
    with tempfile.TemporaryDirectory(prefix="palisade-bench-") as folder, ExitStack() as stack:
        few, many = Path(folder) / "few", Path(folder) / "many"
        made = [_installation(few, 1, 1, 1), _installation(many, given.schemas, given.tenants, given.keys)]
        doors = [stack.enter_context(_serving(one)) for one in (few, many)]
        found = _latencies(doors, [one["keys"] for one in made])
    figures = made[1] | {"keys": given.keys, "tenants": given.tenants, "schemas": given.schemas}
    print(json.dumps(figures | found, indent=1))


def _installation(folder: Path, schemas: int, tenants: int, keys: int) -> dict[str, Any]:
    """An installation in a folder; what it took, and the keys that are to be used."""
    command = [PYTHON, "-m", "bench.many_tenants", "--step", "make"]
    sizes = ["--schemas", str(schemas), "--tenants", str(tenants), "--keys", str(keys)]
    done = subprocess.run([*command, *sizes], cwd=ROOT, env=_environment(folder), capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def _environment(folder: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PALISADE_")}
    return clean | {"PALISADE_DATA": str(folder), "DJANGO_SETTINGS_MODULE": "config.settings.portal"}


# --- in an installation -----------------------------------------------------------------------------------------------


def _make(schemas: int, tenants: int, keys: int) -> dict[str, Any]:
    from config.local import embedded

    with embedded.running():
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate_schemas", verbosity=0)
        creation = _tenants(schemas)
        if schemas == 1:
            return {"keys": _keys(1)}
        ready = _ready_tenants()
        took = {"nothing to do": _timed(lambda: call_command("migrate_schemas", verbosity=0))}
        took |= _migrated()
        _rows_of_tenants(tenants - schemas - 30)
        return {
            "new tenant at first, ms": creation[0],
            "new tenant at last, ms": creation[1],
            "new tenant of a schema that stood ready, ms": ready,
            "migrate_schemas, s": took,
            "keys": _keys(keys),
        }


def _tenants(number: int) -> tuple[float, float]:
    """Make tenants with schemas; what the first and the last thirty took in the median, ms."""
    times = [_tenant(f"bench-{n}") for n in range(number)]
    return round(statistics.median(times[1:31] or times), 1), round(statistics.median(times[-30:]), 1)


def _ready_tenants() -> float:
    """The same of thirty whose schemas stand ready."""
    from django.test import override_settings

    from apps.accounts import ready_schemas

    with override_settings(READY_SCHEMAS=30):
        ready_schemas.stock()
    return round(statistics.median(_tenant(f"ready-{n}") for n in range(30)), 1)


def _tenant(slug: str) -> float:
    from django.utils import timezone

    from apps.billing.subscriptions.services import sign_up

    limits = {"rate_per_minute": 60_000_000, "included": 1_000_000_000}
    begun = time.perf_counter()
    sign_up(slug=slug, name="Bench", plan="enterprise", now=timezone.now(), **limits)
    return (time.perf_counter() - begun) * 1_000


def _migrated() -> dict[str, float]:
    """A column more in every schema: by `migrate_schemas`, and the same SQL through one psql."""
    from django.conf import settings
    from django.core.management import call_command
    from django.test import override_settings

    from apps.accounts import migrating

    with override_settings(MIGRATION_MODULES={"scoring": "tests.config.later_scoring"}):
        change = migrating.change_of(settings.TEMPLATE_SCHEMA) or migrating.Change((), ())
        ours = _timed(lambda: call_command("migrate_schemas", verbosity=0))
    _through_psql('ALTER TABLE "scoring_decision" DROP COLUMN "later";')
    noted = "; ".join(
        f"INSERT INTO django_migrations (app, name, applied) VALUES ('{app}', '{name}', now())"
        for app, name in change.migrations
    )
    theirs = _timed(lambda: _through_psql("\n".join(change.statements) + "\n" + noted + ";"))
    return {"a column more": ours, "the same SQL through psql": theirs, "ratio": round(ours / theirs, 2)}


def _through_psql(statements: str) -> None:
    from apps.accounts import migrating
    from apps.accounts.postgres_programs import login, program

    script = "\n".join(
        f"BEGIN; SET LOCAL search_path = {one}, public;\n{statements}\nCOMMIT;" for one in migrating.tenants()
    )
    command = [program("psql"), "--quiet", "--set", "ON_ERROR_STOP=1"]
    subprocess.run(command, input=script, env=login(), text=True, check=True, capture_output=True)


def _timed(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return round(time.perf_counter() - begun, 2)


def _rows_of_tenants(number: int) -> None:
    from apps.accounts.models import Tenant, new_handle

    handles = {new_handle() for _ in range(number)}
    rows = [Tenant(slug=f"row-{one}", name="Row", handle=one, schema_name=f"t_{one}") for one in handles]
    Tenant.objects.bulk_create(rows, batch_size=1_000)


def _keys(number: int) -> list[str]:
    """Make so many keys of all tenants; those that are to be used, of tenants that have a schema."""
    from apps.accounts.models import Tenant
    from apps.api_keys import keys
    from apps.api_keys.models import ApiKey
    from apps.api_keys.services import digest_of

    chance = random.Random(1)
    tenants = list(Tenant.objects.only("pk", "handle", "slug"))
    whole = [one for one in tenants if one.slug.startswith("bench-")]
    used, rows = [], []
    for n in range(number):
        tenant = chance.choice(whole if n < USED else tenants)
        text = keys.generate(tenant.handle, livemode=True)
        used += [text] if n < USED else []
        scopes = ["read", "predict"]
        rows.append(
            ApiKey(
                tenant=tenant, name="k", digest=digest_of(text), prefix=text[:12], last_four=text[-4:], scopes=scopes
            )
        )
    ApiKey.objects.bulk_create(rows, batch_size=2_000)
    return used


# --- from outside -----------------------------------------------------------------------------------------------------


@contextmanager
def _serving(folder: Path) -> Iterator[int]:
    """The API of an installation, and its stores; its port."""
    port = free_port()
    own = {"PALISADE_API_PORT": str(port), "PALISADE_API_WORKERS": "1", "DJANGO_SETTINGS_MODULE": "config.settings.api"}
    code = (
        "import subprocess, sys\nfrom pathlib import Path\nfrom config.local import embedded\n"
        "with embedded.running():\n"
        "    sys.exit(subprocess.call([str(Path(sys.executable).parent / 'gunicorn'), '--config',"
        " 'python:config.serving.api']))"
    )
    process = subprocess.Popen([PYTHON, "-c", code], cwd=ROOT, env=_environment(folder) | own, start_new_session=True)
    try:
        _wait(port)
        yield port
    finally:
        os.killpg(process.pid, 15)
        process.wait(60)


def _wait(port: int) -> None:
    for _ in range(600):
        try:
            http.client.HTTPConnection("127.0.0.1", port, timeout=5).connect()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("the API did not start")


def _latencies(doors: Sequence[int], keys: Sequence[Sequence[str]]) -> dict[str, float]:
    """The median of a decision's milliseconds at one connection: of one tenant, of many, and their ratio."""
    callers = [http.client.HTTPConnection("127.0.0.1", port, timeout=60) for port in doors]
    bodies = [json.dumps(question(random.Random(n))) for n in range(500)]
    for caller, some in zip(callers, keys, strict=True):
        for key in some:  # none is asked for the first time
            _ask(caller, key, bodies[0])
    times: list[list[float]] = [[], []]
    chance = random.Random(2)
    for _ in range(ROUNDS):
        for caller, some, taken in zip(callers, keys, times, strict=True):
            block = [_ask(caller, chance.choice(some), chance.choice(bodies)) for _ in range(BLOCK)]
            taken.append(statistics.median(block))
    few, many = (statistics.median(one) for one in times)
    return {"p50 of one tenant, ms": round(few, 3), "p50 of many, ms": round(many, 3), "ratio": round(many / few, 3)}


def _ask(caller: http.client.HTTPConnection, key: str, body: str) -> float:
    begun = time.perf_counter()
    caller.request(
        "POST", "/v1/decisions", body, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    )
    answer = caller.getresponse()
    said = answer.read()
    if answer.status != 200:
        sys.exit(f"{answer.status}: {said.decode()}")
    return (time.perf_counter() - begun) * 1_000


if __name__ == "__main__":
    main()
