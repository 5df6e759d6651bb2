"""A policy simulated over a million decisions, ten thousand decisions made again, and what receipts cost the recorder.

    python -m bench.simulate [--decisions 1000000] [--replays 10000]

Servers and data of its own. Some thousand real decisions of all kinds are recorded and stand under new ids, by SQL,
until there are as many as asked for; one in a hundred is labelled. The simulation runs as its worker runs it, in this
process. Then random decisions, made under five policies and three versions of a model, are made again. Then the
recorder stores real decisions, every other batch without receipts.
"""

import argparse
import itertools
import os
import random
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.servers import servers

DAYS, MADE, AT_ONCE = 60, 4_000, 100_000
A_BATCH, BATCHES = 1_000, 40
MOST_SECONDS = 60.0
COPIED = """
INSERT INTO scoring_decision ({columns})
SELECT 'dec_' || lpad((%(first)s + n)::text, 28, '0'), %(begin)s + (%(first)s + n) * %(step)s, {others}
FROM (SELECT *, row_number() OVER (ORDER BY id) - 1 AS place FROM scoring_decision WHERE id LIKE 'dec_s%%') AS made
JOIN generate_series(0, %(count)s - 1) AS n ON made.place = (%(first)s + n) %% %(made)s
"""
LABELS = """
INSERT INTO review_label (id, livemode, decision_id, transaction_id, schema, label, source, known_at, recorded_at,
    recorded_by, holds, decided_at, fraud_probability, recommended_action, model_name, model_version, amount)
SELECT 'lbl_' || right(id, 28), livemode, id, transaction_id, schema,
       CASE WHEN fraud_probability > 0.5 THEN 'fraud' ELSE 'legitimate' END, 'chargeback', created_at, created_at,
       'bench', true, created_at, fraud_probability, recommended_action, model_name, model_version, amount
FROM scoring_decision WHERE right(id, 2) = '07'
"""


def fill(decisions: int, now: datetime) -> Any:
    """A tenant with that many decisions of some weeks."""
    from django.db import connection

    from apps.accounts.tenancy import in_tenant
    from apps.billing.subscriptions.services import sign_up
    from apps.scoring.models import Decision
    from apps.scoring.serving.store import record

    tenant = sign_up(slug="bench", name="Bench Ltd", plan="enterprise", now=now - timedelta(days=DAYS))
    record(made(tenant, now, MADE, "s"))
    names = [field.column for field in Decision._meta.concrete_fields if field.column not in ("id", "created_at")]
    statement = COPIED.format(columns=", ".join(("id", "created_at", *names)), others=", ".join(names))
    begin = now - timedelta(days=DAYS)
    with in_tenant(tenant), connection.cursor() as cursor:
        for first in range(0, decisions, AT_ONCE):
            count = min(AT_ONCE, decisions - first)
            said = {"first": first, "count": count, "begin": begin, "step": timedelta(days=DAYS) / decisions}
            cursor.execute(statement, said | {"made": MADE})
            print(f"{first + count:,} decisions", flush=True)
        cursor.execute("DELETE FROM scoring_decision WHERE id LIKE 'dec_s%%'")
        cursor.execute(LABELS)
        cursor.execute("ANALYZE")
    return tenant


def made(tenant: Any, now: datetime, count: int, prefix: str) -> list[Any]:
    """Entries of real decisions of all kinds, as the journal has them."""
    import msgspec

    from apps.scoring.serving import decision_formats
    from config.local.demo import demo_transactions
    from config.management.commands.seed_demo import Answering

    answering = Answering(tenant, now)
    asked = (
        one
        for seed in itertools.count(7)
        for one in demo_transactions(random.Random(seed), now - timedelta(days=DAYS), now)
    )
    live = (one for one in asked if one.livemode)
    found = []
    for number, question in zip(range(count), live, strict=False):
        entry = answering.entry(question)[0]
        record, name = decision_formats.unpack(entry.record), f"dec_{prefix}{number:0{28 - len(prefix)}d}"
        answer = record.answer.replace(record.id.encode(), name.encode())
        packed = decision_formats.pack(msgspec.structs.replace(record, id=name, answer=answer))
        event = msgspec.structs.replace(entry.event, id=name)
        found.append(msgspec.structs.replace(entry, event=event, record=msgspec.Raw(packed)))
    return found


def simulated(tenant: Any, now: datetime) -> tuple[float, float, int, int]:
    """Wall and processor seconds, decisions, and KB the process grew by."""
    from apps.accounts.tenancy import in_tenant
    from apps.scoring.engine.decide import Policy
    from apps.scoring.engine.rules import Condition, Rule
    from apps.simulation import services
    from apps.simulation.curves import Costs
    from apps.simulation.models import Simulation

    rules = tuple(Rule(f"large{n}", "review", (Condition("amount", "gt", 1_000.0 + n),)) for n in range(20))
    services.AT_ONCE = -1
    asked = services.start(
        tenant=tenant, livemode=True, policy=Policy(review_at=0.4, rules=rules), begin=now - timedelta(days=DAYS + 1),
        end=now, schema="", costs=Costs(), now=now, actor="bench", later=lambda *_: None,
    )  # fmt: skip
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, processor = time.perf_counter(), time.process_time()
    services.run(tenant, asked.pk, now)
    took = time.perf_counter() - wall, time.process_time() - processor
    with in_tenant(tenant):
        row = Simulation.objects.get(pk=asked.pk)
    result = row.result or {}
    print(f"{result['flipped']:,} flips, {result['labels']:,} labels")
    return *took, row.done, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before


def replayed(tenant: Any, now: datetime, count: int) -> tuple[int, float]:
    """How many of `count` decisions, made under five policies and three versions of models, came out otherwise; and ms
    a decision."""
    from apps.accounts.tenancy import in_tenant
    from apps.scoring.models import Decision
    from apps.scoring.policies import get_policies
    from apps.scoring.serving.replay import replay
    from apps.scoring.serving.runtime import get_scoring
    from apps.scoring.serving.store import record
    from tests.simulation.past import POLICIES, models_of_our_own, new_version, publish_to

    with tempfile.TemporaryDirectory() as folder, models_of_our_own(Path(folder), ()) as models:
        for number, policy in enumerate(POLICIES):
            publish_to(_Caller(tenant), policy)
            tenant.refresh_from_db()
            for schema in ("paysim", "payments") if number in (1, 3) else ():
                new_version(models, schema, f"2027.1.{number}", 1.0 + number / 10)
            record(made(tenant, now, count // len(POLICIES), f"r{number}"))
        scoring, differing, took = get_scoring(), 0, 0.0
        with in_tenant(tenant):
            rows = list(Decision.objects.filter(pk__startswith="dec_r"))
        random.Random(1).shuffle(rows)
        for row in rows:
            begun = time.perf_counter()
            differing += not replay(row, tenant.schema_name, get_policies(), scoring.engine).identical
            took += time.perf_counter() - begun
    print(f"{len(rows):,} decisions made again, {differing} otherwise")
    return differing, 1000 * took / len(rows)


class _Caller:
    """Whose policy is published."""

    def __init__(self, tenant: Any) -> None:
        self.tenant = tenant


def receipts_cost(tenant: Any, now: datetime) -> tuple[float, float]:
    """Wall µs a row of the recorder with receipts and without: batches in turn, each prepared and written."""
    from apps.scoring.serving import store

    spent: dict[bool, list[float]] = {True: [], False: []}
    give, contents = store._give_receipts, store._contents
    entries = made(tenant, now, A_BATCH, "c")
    for number in range(BATCHES):
        counted = number % 2 == 0
        store._give_receipts = give if counted else (lambda *_: None)
        store._contents = contents if counted else (lambda *_: iter(()))
        batch = _renamed(entries, number)
        begun = time.perf_counter()
        store.record(batch)
        spent[counted].append(1e6 * (time.perf_counter() - begun) / A_BATCH)
    store._give_receipts, store._contents = give, contents
    return tuple(sorted(took)[len(took) // 2] for took in (spent[True], spent[False]))  # type: ignore[return-value]


def _renamed(entries: list[Any], number: int) -> list[Any]:
    import msgspec

    from apps.scoring.serving import decision_formats

    found = []
    for place, entry in enumerate(entries):
        record, name = decision_formats.unpack(entry.record), f"dec_c{number:09d}{place:018d}"
        packed = decision_formats.pack(msgspec.structs.replace(record, id=name))
        event = msgspec.structs.replace(entry.event, id=name)
        found.append(msgspec.structs.replace(entry, event=event, record=msgspec.Raw(packed)))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--replays", type=int, default=10_000)
    options = parser.parse_args()
    os.environ.setdefault("PALISADE_CONNECTION_SECONDS", "600")
    with servers():
        now = datetime.now(UTC)
        tenant = fill(options.decisions, now)
        wall, processor, done, grown = simulated(tenant, now)
        rate = done / processor
        print(f"{done:,} decisions simulated in {wall:.1f} s ({MOST_SECONDS:.0f} s asked for a million on two cores), "
              f"{rate:,.0f} a second of its processor (20,000 asked), {grown / 1024:.0f} MB more")  # fmt: skip
        differing, each_ms = replayed(tenant, now, options.replays)
        print(f"{each_ms:.2f} ms a replay, {differing} differ (0 asked)")
        counted, plain = receipts_cost(tenant, now)
        more = counted / plain - 1
        print(f"recorder: {counted:.1f} µs a row with receipts, {plain:.1f} µs without: {more:+.1%} (3 % asked)")
    return 0 if not differing and rate >= 20_000 else 1


if __name__ == "__main__":
    sys.exit(main())
