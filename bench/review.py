"""Review over a million decisions of one tenant: the graph, the next case, the lists, and what cases cost the recorder.

    python -m bench.review [--decisions 1000000]          (`make bench-review`)

Servers and data of its own. Decisions of 60 days are made by SQL, as wide as real ones: users, devices, addresses of
tens of thousands, and a merchant that takes part in three of ten. Three in a hundred ask for a review. Each answer is
asked for through the API's whole application; then the recorder stores batches of a thousand real decisions with and
without whoever opens cases. Prints a table.
"""

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from bench.servers import servers

DAYS, AT_ONCE, REPEATS = 60, 250_000, 100
#: Of the graph; of the others the portal's own budget.
MOST_MS = {"graph": 50.0}
MOST_ELSE_MS = 100.0
BATCHES, A_BATCH, MADE = 24, 1_000, 2_000
DECISIONS = """
INSERT INTO scoring_decision (id, created_at, livemode, schema, transaction_id, body_hash, idempotency_hash,
    fingerprint, status, fraud_probability, risk_score, risk_level, recommended_action, decisive, model_name,
    model_version, facts, answer, features, contributions, row, amount, parties, rules_hit)
SELECT 'dec_' || lpad(n::text, 28, '0'), %(begin)s + n * %(step)s, true, 'payments', 'order-' || n, '', '', '', 'new',
    p, 1000 * p, CASE WHEN p < 0.3 THEN 'low' ELSE 'medium' END, CASE WHEN p < 0.3 THEN 'approve' ELSE 'review' END,
    'model:xgboost', 'xgboost', '1',
    jsonb_build_object('amount', 1 + n %% 5000, 'user_id', u, 'merchant_id', m, 'device_id', d, 'ip_address', i),
    '{"rules": [], "model": null, "degraded": [], "warnings": [], "timing_ms": {"total": 1}, "billed_units": 1}',
    decode(repeat('ab', 240), 'hex'), decode(repeat('ab', 240), 'hex'), 0,
    1 + n %% 5000, ARRAY[u, m, d, i], '{}'
FROM generate_series(%(first)s::bigint, %(last)s) n,
LATERAL (SELECT power(((n * 7919) %% 100003) / 100003.0, 39) AS p, 'user-' || (n * 7919) %% 90001 AS u,
    CASE WHEN n %% 10 < 3 THEN 'shop-of-many' ELSE 'shop-' || (n * 31) %% 4999 END AS m,
    'device-' || (n * 7907) %% 79999 AS d, '10.' || (n * 7901) %% 250 || '.' || (n * 13) %% 199 || '.1' AS i) made
"""
CASES = """
INSERT INTO review_case (id, livemode, schema, transaction_id, transaction_hash, created_at, state, decision_id,
    decided_at, decisions, fraud_probability, risk_score, amount, rules_hit, expected_loss, queue, rank, due_at, holder,
    assignee, resolution, resolved_by, label_id)
SELECT 'cas_' || substr(id, 5), true, schema, transaction_id, md5(transaction_id), created_at, 'open', id, created_at,
    1, fraud_probability, risk_score, amount, '{}', fraud_probability * amount, 'default',
    log(2.0, (1 + fraud_probability * amount)::numeric)::float8 - extract(epoch FROM created_at)::float8 / 86400,
    created_at + interval '1 day', '', '', '', '', ''
FROM scoring_decision WHERE recommended_action = 'review'
"""
DROPPED = (
    "decision_newest_first decision_of_party decision_largest_first decision_of_transaction decision_of_level"
    " decision_of_action decision_likeliest_first"
)


class Answered(NamedTuple):
    """The server time of one kind of answer."""

    name: str
    median_ms: float
    p95_ms: float
    most_ms: float

    def row(self) -> str:
        asked = MOST_MS.get(self.name, MOST_ELSE_MS)
        mark = "" if self.most_ms <= asked else " **missed**"
        took = f"{self.median_ms:.1f} ms | {self.p95_ms:.1f} ms | {self.most_ms:.1f} ms"
        return f"| {self.name}{mark} | {took} | ≤ {asked:.0f} ms |"


def fill(decisions: int, now: datetime) -> tuple[Any, str]:
    """A tenant with that many decisions and their cases, and its key."""
    from django.db import connection

    from apps.accounts.tenancy import in_tenant
    from apps.api_keys.services import create_key
    from apps.billing.subscriptions.services import sign_up

    tenant = sign_up(slug="bench", name="Bench Ltd", plan="enterprise", now=now - timedelta(days=DAYS))
    scopes = ["read", "predict", "admin"]
    key = create_key(tenant=tenant, name="bench", scopes=scopes, now=now, rate_per_minute=None)[1]
    said = {"begin": now - timedelta(days=DAYS), "step": timedelta(days=DAYS) / decisions}
    with in_tenant(tenant), connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = %s AND indexname = ANY(%s)",
                       [tenant.schema_name, DROPPED.split()])  # fmt: skip
        indexes = [row[0] for row in cursor.fetchall()]
        cursor.execute(f"DROP INDEX {', '.join(DROPPED.split())}")
        for first in range(0, decisions, AT_ONCE):
            cursor.execute(DECISIONS, said | {"first": first, "last": min(first + AT_ONCE, decisions) - 1})
        for index in indexes:
            cursor.execute(index)
        cursor.execute(CASES)
        cursor.execute("ANALYZE")
    return tenant, key


def answers(tenant: Any, key: str) -> Iterator[Answered]:
    """Graphs of cases of all kinds, the next case, lists."""
    from apps.accounts.tenancy import in_tenant
    from apps.review.models import Case
    from config.application_api import application

    application.before_serving()
    with in_tenant(tenant):
        ids = list(Case.objects.order_by("transaction_hash").values_list("pk", flat=True)[:REPEATS])
        print(f"{Case.objects.count():,} cases", flush=True)

    def ask(method: str, address: str, body: bytes = b"") -> None:
        from config.serving.messages import Request, pieces

        headers = [(b"host", b"localhost:8000"), (b"x-api-key", key.encode()), (b"content-type", b"application/json"),
                   (b"content-length", str(len(body)).encode())]  # fmt: skip
        request = Request(method, address.encode(), headers, "127.0.0.1", ("127.0.0.1", "8000"))
        request.take(body)
        response = application(request)
        answer = b"".join(pieces(response, keep_alive=True))
        response.close()
        if response.status_code != 200:
            raise SystemExit(f"{address}: {response.status_code}: {answer.decode()[:300]}")

    kinds: dict[str, Callable[[str], None]] = {
        "graph": lambda case: ask("GET", f"/v1/cases/{case}/graph"),
        "one case": lambda case: ask("GET", f"/v1/cases/{case}"),
        "cases": lambda case: ask("GET", "/v1/cases?limit=100"),
        "claim the next": lambda case: ask("POST", "/v1/cases/next", b"{}"),
        "queues": lambda case: ask("GET", "/v1/review-queues"),
    }
    for name, do in kinds.items():
        do(ids[0])
        took = []
        for case in ids:
            begun = time.perf_counter()
            do(case)
            took.append(1000 * (time.perf_counter() - begun))
        took.sort()
        yield Answered(name, statistics.median(took), took[int(0.95 * (len(took) - 1))], took[-1])


def opening_cost(tenant: Any, now: datetime) -> tuple[float, float, int]:
    """Wall µs a row of the recorder, with cases opened and without, and the cases of a batch."""
    from apps.accounts.tenancy import in_tenant
    from apps.review.models import Case
    from apps.scoring.serving import decision_formats, store
    from bench.portal import _again
    from config.local.demo import demo_transactions
    from config.management.commands.seed_demo import Answering

    answering = Answering(tenant, now)
    asked = demo_transactions(random.Random(7), now - timedelta(days=60), now)
    made = [answering.entry(question)[0] for question, _ in zip(asked, range(MADE), strict=False)]
    records = [decision_formats.unpack(entry.record) for entry in made]
    followers, spent = list(store._followers), {True: [0.0], False: [0.0]}
    with in_tenant(tenant):
        before = Case.objects.count()
    for number in range(BATCHES):
        rows = range(number * A_BATCH, (number + 1) * A_BATCH)
        batch = [
            _again(made[n % len(made)], records[n % len(made)], 10**9 + n, now + timedelta(milliseconds=n))
            for n in rows
        ]
        store._followers[:] = followers if number % 2 else []
        begun = time.perf_counter()
        store.record(batch)
        spent[bool(number % 2)].append(1e6 * (time.perf_counter() - begun) / A_BATCH)
    with in_tenant(tenant):
        opened = (Case.objects.count() - before) * 2 // BATCHES
    return statistics.median(spent[True][3:]), statistics.median(spent[False][3:]), opened


def table(found: Sequence[Answered], decisions: int, cost: tuple[float, float, int]) -> list[str]:
    opened, plain, cases = cost
    return [
        f"{decisions:,} decisions of one tenant over {DAYS} days, {REPEATS} requests an answer.",
        "",
        "| answer | median | p95 | most | asked |",
        "|---|---|---|---|---|",
        *(one.row() for one in found),
        "",
        f"A row of the recorder takes {opened:.0f} µs with cases opened ({cases} a batch of {A_BATCH:,}),"
        f" {plain:.0f} µs without.",
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.api")
    os.environ.setdefault("PALISADE_CONNECTION_SECONDS", "60")
    with servers():
        now = datetime.now(UTC)
        tenant, key = fill(options.decisions, now)
        found = list(answers(tenant, key))
        print("\n".join(one.row() for one in found), flush=True)
        print("\n".join(table(found, options.decisions, opening_cost(tenant, now))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
