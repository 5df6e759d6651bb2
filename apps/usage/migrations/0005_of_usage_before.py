"""Hours by kind of transaction, and latencies, of events that were recorded before there were such."""

from django.db import migrations

ADDED_UP = """
DELETE FROM usage_usagehour AS known WHERE schema = '' AND EXISTS (
    SELECT FROM usage_usageevent event WHERE event.tenant_id = known.tenant_id
    AND event.occurred_at >= known.hour AND event.occurred_at < known.hour + interval '1 hour');
INSERT INTO usage_usagehour
    (tenant_id, hour, key_id, endpoint, schema, livemode, decisions, units, degraded, latency_us)
SELECT tenant_id, date_trunc('hour', occurred_at, 'UTC'), key_id, endpoint, schema, livemode, count(*), sum(units),
       count(*) FILTER (WHERE degraded), sum(latency_us)
FROM usage_usageevent GROUP BY 1, 2, 3, 4, 5, 6;
INSERT INTO usage_latencyhour (tenant_id, hour, livemode, step, decisions)
SELECT tenant_id, date_trunc('hour', occurred_at, 'UTC'), livemode,
       floor(4 * ln(greatest(latency_us, 1)::float8) / ln(2::float8)), count(*)
FROM usage_usageevent GROUP BY 1, 2, 3, 4;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("usage", "0004_schemas_and_latencies"),
    ]

    operations = [migrations.RunSQL(ADDED_UP, "DELETE FROM usage_latencyhour")]
