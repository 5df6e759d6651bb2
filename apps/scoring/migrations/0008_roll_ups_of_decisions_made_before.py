"""Roll-ups of decisions that were recorded before there were any: words and rules. Categories, parties and features
begin with the decisions that follow; a day that was counted already stays as it is."""

from django.db import migrations

WORDS = """
INSERT INTO scoring_patternday (livemode, day, schema, dimension, word, decisions, fraud, amount, fraud_amount)
SELECT livemode, (created_at AT TIME ZONE 'UTC')::date, schema, dimension, word, count(*),
       count(*) FILTER (WHERE risk_level IN ('high', 'critical')), sum(amount),
       coalesce(sum(amount) FILTER (WHERE risk_level IN ('high', 'critical')), 0)
FROM scoring_decision, LATERAL (VALUES
    ('level', risk_level),
    ('model', CASE WHEN model_name = '' THEN '' ELSE model_name || '@' || model_version END),
    ('hour', to_char(created_at AT TIME ZONE 'UTC', 'HH24')),
    ('amount', (SELECT max(band) FROM unnest(ARRAY[0, 10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000, 300000, 1000000])
                band WHERE band <= greatest(amount, 0))::text)
) words (dimension, word)
WHERE word <> '' GROUP BY 1, 2, 3, 4, 5 ON CONFLICT DO NOTHING;
INSERT INTO scoring_ruleday (livemode, day, schema, rule, other, decisions, fraud, decided)
SELECT livemode, (created_at AT TIME ZONE 'UTC')::date, schema, one, coalesce(other, ''), count(*),
       count(*) FILTER (WHERE risk_level IN ('high', 'critical')),
       count(*) FILTER (WHERE other IS NULL AND decisive = 'rule:' || one)
FROM scoring_decision, unnest(rules_hit) one,
     LATERAL (SELECT NULL AS other UNION ALL SELECT more FROM unnest(rules_hit) more WHERE more COLLATE "C" > one) others
GROUP BY 1, 2, 3, 4, 5 ON CONFLICT DO NOTHING;
"""


class Migration(migrations.Migration):
    dependencies = [("scoring", "0007_roll_ups")]

    operations = [
        migrations.RunSQL(WORDS, "DELETE FROM scoring_patternday; DELETE FROM scoring_ruleday"),
    ]
