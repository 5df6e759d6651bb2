"""Closing a month: `python -m bench.billing [--tenants 10000] [--events 10000000]` (`make bench-billing`).

Servers and data of its own. Tenants (of every plan, one in twenty upgraded in the middle, a third with a credit, all
with an address for their mail), events and roll-ups are made by SQL; then one process closes the month as Celery's
worker does, and closes it again. Prints seconds, invoices and the process's peak memory as JSON.
"""

import argparse
import json
import resource
import time

from bench.servers import servers

_TENANTS = """
INSERT INTO accounts_tenant (schema_name, slug, name, handle, created_at, policy_version)
SELECT 't_' || n, 'tenant-' || n, 'Tenant ' || n, lpad(to_hex(n), 6, '0'), '2026-10-01Z', 0
FROM generate_series(1, %(tenants)s) n;
INSERT INTO billing_subscription (tenant_id, plan_code, status, currency, started_at, has_payment_method,
    payment_method_label, stripe_customer_id, stripe_payment_method_id, billing_name, billing_email, billing_address,
    country, tax_id, tax_name, tax_percent)
SELECT id, (ARRAY['free', 'basic', 'professional', 'enterprise'])[1 + id %% 4] || '-2026-11', 'active',
    (ARRAY['USD', 'EUR', 'GBP'])[1 + id %% 3], created_at, true, 'bank transfer', '', '', '', slug || '@example.com',
    '', 'DE', '', 'VAT', 19 FROM accounts_tenant;
INSERT INTO billing_planspan (tenant_id, plan_code, starts_at, ends_at, trial)
SELECT tenant_id, plan_code, started_at,
    CASE WHEN tenant_id %% 20 = 0 THEN '2026-10-13 07:31:05Z'::timestamptz END, false
FROM billing_subscription;
INSERT INTO billing_planspan (tenant_id, plan_code, starts_at, trial)
SELECT tenant_id, 'enterprise-2026-11', ends_at, false FROM billing_planspan WHERE ends_at IS NOT NULL;
INSERT INTO billing_credit (public_id, tenant_id, key, currency, amount, remaining, reason, granted_at)
SELECT 'cr_' || tenant_id, tenant_id, 'bench', currency, 10, 10, 'SLA credit', started_at
FROM billing_subscription WHERE tenant_id %% 3 = 0;
"""
_EVENTS = """
INSERT INTO usage_usageevent (id, tenant_id, key_id, occurred_at, endpoint, schema, livemode, degraded, units,
    latency_us, direct)
SELECT 'dec_' || n, (SELECT min(id) FROM accounts_tenant) + n %% %(tenants)s, n %% %(tenants)s,
    '2026-10-01Z'::timestamptz + (n::float8 / (%(events)s + 1)) * interval '31 days',
    CASE WHEN n %% 7 = 0 THEN 'batch' ELSE 'decisions' END, 'paysim', true, false, 1, 900, false
FROM generate_series(1, %(events)s) n;
INSERT INTO usage_usagehour (tenant_id, hour, key_id, endpoint, schema, livemode, decisions, units, degraded,
    latency_us)
SELECT tenant_id, date_trunc('hour', occurred_at, 'UTC'), key_id, endpoint, schema, livemode, count(*), sum(units), 0,
    sum(latency_us) FROM usage_usageevent WHERE tenant_id %% 20 = 0 GROUP BY 1, 2, 3, 4, 5, 6;
INSERT INTO usage_usageday (tenant_id, day, endpoint, livemode, decisions, units, degraded)
SELECT tenant_id, (occurred_at AT TIME ZONE 'UTC')::date, endpoint, livemode, count(*), sum(units), 0
FROM usage_usageevent GROUP BY 1, 2, 3, 4;
ANALYZE;
"""


def _fill(tenants: int, events: int) -> float:
    """Seconds it took to make the month."""
    from django.db import connection

    begun = time.perf_counter()
    with connection.cursor() as cursor:
        for statement in (_TENANTS + _EVENTS).split(";\n"):
            if statement.strip():
                cursor.execute(statement, {"tenants": tenants, "events": events})
    return time.perf_counter() - begun


def _close() -> tuple[float, int]:
    """(seconds, invoices) of closing October 2026 for everybody."""
    from datetime import UTC, datetime

    from apps.usage.closing.closing import close_due

    begun = time.perf_counter()
    issued = close_due(datetime(2026, 11, 1, 0, 35, tzinfo=UTC))
    return time.perf_counter() - begun, issued


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=10_000_000)
    options = parser.parse_args()
    with servers():
        filled = _fill(options.tenants, options.events)
        seconds, issued = _close()
        again, twice = _close()
        found = {
            "tenants": options.tenants,
            "events": options.events,
            "seconds_to_make_them": round(filled, 1),
            "seconds": round(seconds, 1),
            "invoices": issued,
            "seconds_again": round(again, 1),
            "invoices_again": twice,
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
