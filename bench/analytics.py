"""Every analytics answer over ten million decisions of one tenant, and what the roll-ups cost the recorder.

    python -m bench.analytics [--decisions 10000000] [--labels 100000]          (`make bench-analytics`)

Servers and data of its own. Decisions, labels and roll-ups of a year are made by SQL, without the texts nobody counts;
sketches and histograms are as full as they may get. Each answer is asked for through the API's whole application, each
page through the portal's (`bench/analytics_pages.py`). Then the recorder stores real decisions, every other batch
without its roll-ups. Prints tables, and writes them into docs/benchmarks.md.
"""

import argparse
import os
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from bench.servers import servers

DAYS = 365
SPANS = (7, 30, 90, 365)
REPEATS = 15
MOST_MS = 100.0
LABELS = 100_000
#: Rules of each kind of transaction, and how many others each is hit with.
RULES, WITH_OTHERS = 40, 5
WORDS = {"category": 20, "country": 60, "fraud_type": 6}
#: Recorder: batches of a thousand, half of them with roll-ups.
BATCHES, A_BATCH, MADE = 164, 1_000, 4_000
PAGE = "docs/benchmarks.md"
BEGIN, END = "<!-- analytics: begin -->", "<!-- analytics: end -->"
PATHS = (
    "trends", "trends?interval=hour", "patterns", "risk-distribution", "model-performance", "rules", "entities",
    "drift",
)  # fmt: skip

DECISIONS = """
INSERT INTO scoring_decision (id, created_at, livemode, schema, transaction_id, body_hash, idempotency_hash,
    fingerprint, status, fraud_probability, risk_score, risk_level, recommended_action, decisive, model_name,
    model_version, facts,
    answer, features, contributions, row, amount, parties, rules_hit)
SELECT 'dec_' || lpad(n::text, 28, '0'), %(begin)s + n * %(step)s, true, s.name, 'order-' || n, '', '', '', 'new', p,
    1000 * p, CASE WHEN p < 0.3 THEN 'low' WHEN p < 0.7 THEN 'medium' WHEN p < 0.9 THEN 'high' ELSE 'critical' END,
    CASE WHEN p < 0.3 THEN 'approve' WHEN p < 0.7 THEN 'review' ELSE 'block' END, 'model:' || s.model, s.model,
    s.version, '{}', '', '', '', 0, 1 + n %% 5000, '{}',
    CASE WHEN n %% 10 = 0 THEN ARRAY['rule_' || n %% %(rules)s] ELSE '{}'::text[] END
FROM generate_series(%(first)s, %(last)s) n
JOIN kinds s ON s.place = n %% %(kinds)s,
LATERAL (SELECT power(((n::bigint * 7919) %% 100003) / 100003.0, 12) AS p) scored
"""
ROLL_UPS = (
    """
    INSERT INTO scoring_outcomehour (livemode, hour, schema, recommended_action, decisions, fraud)
    SELECT true, date_trunc('hour', created_at, 'UTC'), schema, recommended_action, count(*),
           count(*) FILTER (WHERE risk_level IN ('high', 'critical')) FROM scoring_decision GROUP BY 1, 2, 3, 4
    """,
    """
    INSERT INTO scoring_scoreday (livemode, day, schema, percent, decisions)
    SELECT true, (created_at AT TIME ZONE 'UTC')::date, schema, least(floor(100 * fraud_probability), 99), count(*)
    FROM scoring_decision GROUP BY 1, 2, 3, 4
    """,
    """
    INSERT INTO scoring_patternday (livemode, day, schema, dimension, word, decisions, fraud, amount, fraud_amount)
    SELECT true, (created_at AT TIME ZONE 'UTC')::date, schema, dimension, word, count(*),
           count(*) FILTER (WHERE risk_level IN ('high', 'critical')), sum(amount),
           coalesce(sum(amount) FILTER (WHERE risk_level IN ('high', 'critical')), 0)
    FROM scoring_decision, LATERAL (VALUES ('level', risk_level), ('model', model_name || '@' || model_version),
        ('hour', to_char(created_at AT TIME ZONE 'UTC', 'HH24')),
        ('amount', CASE WHEN amount < 10 THEN '0' WHEN amount < 30 THEN '10' WHEN amount < 100 THEN '30'
            WHEN amount < 300 THEN '100' WHEN amount < 1000 THEN '300' WHEN amount < 3000 THEN '1000' ELSE '3000' END)
    ) words (dimension, word) GROUP BY 1, 2, 3, 4, 5
    """,
    """
    INSERT INTO scoring_patternday (livemode, day, schema, dimension, word, decisions, fraud, amount, fraud_amount)
    SELECT true, day::date, schema, %(dimension)s, 'word ' || word, 100 + word, word, 1000 * word, word
    FROM generate_series(%(begin)s::date, %(end)s::date, '1 day') day, kinds k (place, schema, model, version),
         generate_series(1, %(words)s) word
    """,
    """
    INSERT INTO scoring_ruleday (livemode, day, schema, rule, other, decisions, fraud, decided)
    SELECT true, day::date, schema, 'rule_' || rule, CASE WHEN k = 0 THEN '' ELSE 'rule_' || (rule + k) END,
           100 + rule, rule, k
    FROM generate_series(%(begin)s::date, %(end)s::date, '1 day') day, kinds s (place, schema, model, version),
         generate_series(0, %(rules)s - 1) rule, generate_series(0, %(others)s) k
    """,
    """
    INSERT INTO review_label (id, livemode, decision_id, transaction_id, schema, label, source, known_at, recorded_at,
        recorded_by, holds, decided_at, fraud_probability, recommended_action, model_name, model_version, amount,
        rules_hit)
    SELECT 'lbl_' || row_number() OVER (), true, id, transaction_id, schema,
           CASE WHEN fraud_probability > 0.5 THEN 'fraud' ELSE 'legitimate' END, 'chargeback',
           created_at + (n %% 60) * interval '1 day', created_at + (n %% 60) * interval '1 day', 'bench', true,
           created_at, fraud_probability, recommended_action, model_name, model_version, amount, rules_hit
    FROM generate_series(0, %(decisions)s - 1, %(every)s) n
    JOIN scoring_decision ON id = 'dec_' || lpad(n::text, 28, '0')
    """,
)
#: Made when the rows are there: nothing of these answers reads by them.
DROPPED = (
    "decision_newest_first decision_of_party decision_largest_first decision_of_transaction decision_of_level"
    " decision_of_action"
)
AT_ONCE = 500_000


class Answered(NamedTuple):
    """The server time of one answer, over so many days; `processor_ms` is its own process's and Postgres's, median."""

    path: str
    days: int
    median_ms: float
    p95_ms: float
    processor_ms: float
    kilobytes: float

    def row(self) -> str:
        mark = "" if self.p95_ms <= MOST_MS else " **missed**"
        took = f"{self.median_ms:.1f} ms | {self.p95_ms:.1f} ms | {self.processor_ms:.1f} ms"
        return f"| `{self.path}`{mark} | {self.days} | {took} | {self.kilobytes:.0f} KB |"


def fill(decisions: int, labels: int, now: datetime) -> tuple[Any, str]:
    """A tenant with that many decisions and labels of a year, and its key."""
    from django.db import connection

    from apps.accounts.tenancy import in_tenant
    from apps.api_keys.services import create_key
    from apps.billing.subscriptions.services import sign_up
    from apps.review import label_months
    from apps.scoring import folds, months

    tenant = sign_up(slug="bench", name="Bench Ltd", plan="enterprise", now=now - timedelta(days=DAYS))
    key = create_key(tenant=tenant, name="bench", scopes=["read"], now=now, rate_per_minute=None)[1]
    begin, kinds = now - timedelta(days=DAYS), champions()
    said = {
        "begin": begin, "end": now, "step": timedelta(days=DAYS) / decisions, "rules": RULES, "others": WITH_OTHERS,
        "decisions": decisions, "every": decisions // labels, "kinds": len(kinds),
    }  # fmt: skip
    with in_tenant(tenant), connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {', '.join(DROPPED.split())}")
        cursor.execute("CREATE TEMP TABLE kinds (place int, name varchar, model varchar, version varchar)")
        for place, (schema, model, version) in enumerate(kinds):
            cursor.execute("INSERT INTO kinds VALUES (%s, %s, %s, %s)", [place, schema, model, version])
        for first in range(0, decisions, AT_ONCE):
            cursor.execute(DECISIONS, said | {"first": first, "last": min(first + AT_ONCE, decisions) - 1})
            print(f"{min(first + AT_ONCE, decisions):,} decisions", flush=True)
        cursor.execute("ANALYZE scoring_decision")
        print("roll-ups", flush=True)
        for statement in ROLL_UPS:
            words = WORDS.items() if "%(words)s" in statement else [("", 0)]
            for dimension, count in words:
                cursor.execute(statement, said | {"dimension": dimension, "words": count})
        _sketches(kinds, begin.date())
        cursor.execute("ANALYZE")
        for subject in (folds.DECISIONS, label_months.SUBJECT):
            begun = time.perf_counter()
            count = months.fold_closed(tenant.schema_name, subject, now)
            print(f"{count} months of {subject.name} folded in {time.perf_counter() - begun:.1f} s", flush=True)
        cursor.execute("ANALYZE")
    return tenant, key


def champions() -> list[tuple[str, str, str]]:
    """Kind, model, version."""
    from django.conf import settings

    from apps.scoring.engine.models import active
    from apps.scoring.engine.schemas import SCHEMAS

    return [(schema, *active(settings.ARTIFACTS_DIR, schema)[0].split("/")) for schema in SCHEMAS]


def _sketches(kinds: Sequence[tuple[str, str, str]], begin: date) -> None:
    """A year of full sketches of parties, and of histograms of features."""
    import numpy as np

    from apps.scoring import heavy_hitters
    from apps.scoring.engine.schemas import SCHEMAS
    from apps.scoring.heavy_hitters import Counter, Sketch
    from apps.scoring.models import FeatureDay, PartyDay
    from apps.scoring.tallies import reference_of

    chance, draw = random.Random(7), np.random.default_rng(7)
    parties, features = [], []
    for schema, model, version in kinds:
        reference = reference_of(schema, f"{model}@{version}")
        for back in range(DAYS + 1):
            day = begin + timedelta(days=back)
            for field in SCHEMAS[schema].searched:
                named = (f"{field}-{chance.randint(1, 5_000)}" for _ in range(heavy_hitters.MOST))
                sketch = Sketch({name: Counter(chance.randint(1, 50), 40.0, 1_000.0) for name in named}, 3.0)
                parties.append(
                    PartyDay(day=day, livemode=True, schema=schema, field=field, sketch=heavy_hitters.pack(sketch))
                )
            if reference is not None:
                counts = draw.poisson(2_700 * reference.shares).astype("<i8")
                features.append(
                    FeatureDay(
                        day=day,
                        livemode=True,
                        schema=schema,
                        model=f"{model}@{version}",
                        decisions=2_700,
                        reference=reference.digest,
                        counts=counts.tobytes(),
                    )
                )
    PartyDay.objects.bulk_create(parties, batch_size=500)
    FeatureDay.objects.bulk_create(features, batch_size=500)


def answers(key: str) -> Iterator[Answered]:
    """Every answer over every span, through the whole application."""
    from config.application_api import application

    application.before_serving()
    for path in PATHS:
        for days in SPANS:
            if ("hour" in path or path == "entities") and days > 30:
                continue
            address = f"/v1/analytics/{path}{'&' if '?' in path else '?'}days={days}"
            size = len(_get(application, key, address))
            walls, processors = zip(*(_timed(application, key, address) for _ in range(REPEATS)), strict=True)
            p95 = sorted(walls)[int(0.95 * (REPEATS - 1))]
            yield Answered(path, days, statistics.median(walls), p95, statistics.median(processors), size / 1000)


def _timed(application: Any, key: str, address: str) -> tuple[float, float]:
    """Milliseconds of one request by the clock and of processors, on a connection that was used before."""
    from django.db import connection

    connection.ensure_connection()  # one that grew old is closed with a request's end
    backend = connection.connection.info.backend_pid
    begun, before = time.perf_counter(), time.process_time() + _processor(backend)
    _get(application, key, address)
    took, used = time.perf_counter() - begun, time.process_time() + _processor(backend) - before
    return 1000 * took, 1000 * used


def _get(application: Any, key: str, address: str) -> bytes:
    from config.serving.messages import Request, pieces

    headers = [(b"host", b"localhost:8000"), (b"x-api-key", key.encode())]
    response = application(Request("GET", address.encode(), headers, "127.0.0.1", ("127.0.0.1", "8000")))
    answer = b"".join(pieces(response, keep_alive=True))
    response.close()
    if response.status_code != 200:
        raise SystemExit(f"{address}: {response.status_code}: {answer.decode()[:300]}")
    return answer


def pages() -> list[str]:
    """Rows of a table: the portal's pages."""
    command = [sys.executable, "-m", "bench.analytics_pages"]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return said.splitlines()


class Cost(NamedTuple):
    """Of the recorder's batches, medians: processor µs a row, its own and Postgres's, and wall µs."""

    python: float
    postgres: float
    wall: float


def roll_up_cost(tenant: Any, now: datetime) -> tuple[Cost, Cost]:
    """What a row costs the recorder with its roll-ups, and without: batches in turn, real decisions of all kinds, of
    which two in a hundred are frauds."""
    from django.db import connection

    from apps.scoring import tallies
    from apps.scoring.serving import decision_formats
    from apps.scoring.serving.store import record
    from bench.portal import _again
    from config.local.demo import demo_transactions
    from config.management.commands.seed_demo import Answering

    answering = Answering(tenant, now)
    asked = demo_transactions(random.Random(7), now - timedelta(days=60), now)
    made = [answering.entry(question)[0] for question, _ in zip(asked, range(MADE), strict=False)]
    records = [decision_formats.unpack(entry.record) for entry in made]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]
    count = len(made)
    count_up = tallies.counted
    spent: dict[bool, list[list[float]]] = {True: [], False: []}
    for number in range(BATCHES):
        rows = range(number * A_BATCH, (number + 1) * A_BATCH)
        batch = [_again(made[n % count], records[n % count], 10**9 + n, now + timedelta(milliseconds=n)) for n in rows]
        counted = number % 2 == 0
        tallies.counted = count_up if counted else lambda _: tallies.Counted((), {}, {}, ())  # type: ignore[assignment]
        before = (time.process_time(), _processor(backend), time.perf_counter())
        record(batch)
        after = (time.process_time(), _processor(backend), time.perf_counter())
        if number >= 4:
            spent[counted].append([1e6 * (b - a) / A_BATCH for a, b in zip(before, after, strict=True)])
    tallies.counted = count_up
    # Postgres tidies up in the middle of some batch: of sums that would be the larger part of the difference
    found = {counted: Cost(*map(statistics.median, zip(*spent[counted], strict=True))) for counted in spent}
    return found[True], found[False]


def _processor(pid: int) -> float:
    """Seconds of processor a process has had."""
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0]) / 1e9


def table(
    found: Sequence[Answered], shown: Sequence[str], rows: tuple[int, int], seconds: float, cost: tuple[Cost, Cost]
) -> list[str]:
    missed = [f"{one.path} ({one.days} days)" for one in found if one.p95_ms > MOST_MS]
    verdict = "missed by " + ", ".join(missed) if missed else "all hold"
    counted, plain = cost
    share = 1 - (plain.python + plain.postgres) / (counted.python + counted.postgres)
    return [
        f"{rows[0]:,} decisions of one tenant over {DAYS} days, {rows[1]:,} labels (made in"
        f" {seconds:.0f} s), {REPEATS} requests an answer. Asked is ≤ {MOST_MS:.0f} ms of server time: {verdict}.",
        "",
        "| answer | days | median | p95 | processor | size |",
        "|---|---|---|---|---|---|",
        *(one.row() for one in found),
        "",
        "| page | median | p95 | questions to Postgres | size |",
        "|---|---|---|---|---|",
        *shown,
        "",
        "| a row of the recorder | its processor | Postgres's | wall |",
        "|---|---|---|---|",
        f"| with roll-ups | {counted.python:.0f} µs | {counted.postgres:.0f} µs | {counted.wall:.0f} µs |",
        f"| without | {plain.python:.0f} µs | {plain.postgres:.0f} µs | {plain.wall:.0f} µs |",
        "",
        f"Roll-ups take {100 * share:.0f} % of a row's processor time (asked: ≤ 10 % of the recorder's rows/s).",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=10_000_000)
    parser.add_argument("--labels", type=int, default=LABELS)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.api")
    os.environ.setdefault("PALISADE_CONNECTION_SECONDS", "60")
    os.environ["PALISADE_LOG_LEVEL"] = "WARNING"
    with servers():
        begun, now = time.perf_counter(), datetime.now(UTC)
        tenant, key = fill(options.decisions, options.labels, now)
        seconds = time.perf_counter() - begun
        found = list(answers(key))
        print("\n".join(one.row() for one in found), flush=True)
        shown = pages()
        print("\n".join(shown), flush=True)
        lines = table(found, shown, (options.decisions, options.labels), seconds, roll_up_cost(tenant, now))
        print("\n".join(lines))
        if options.decisions >= 10_000_000:
            _write(lines)
    return 0


def _write(lines: list[str]) -> None:
    with open(PAGE) as page:
        before = page.read()
    text = re.sub(f"{BEGIN}.*{END}", lambda _: "\n".join([BEGIN, *lines, END]), before, flags=re.DOTALL)
    with open(PAGE, "w") as page:
        page.write(text)


if __name__ == "__main__":
    sys.exit(main())
